#!/usr/bin/env python3
"""A soak: nodes train while some of them are restarted each minute, and nothing may leak or drift.

`interop/soak.py [--minutes 30] [--nodes 16]`; `interop/tables.py soak` publishes it. Beside the disturbed run another of the
same nodes goes on undisturbed, one after the other on a machine with few cores: first the undisturbed
one for a tenth of the time, which is long after its accuracy has settled, then the disturbed one.

Passes if no node panicked or ended by itself, the memory of the last third is within 5 % of what it
was at that third's start, and every node's accuracy is within 0.03 of the undisturbed run's median.
"""

import argparse
import os
import random
import signal
import statistics
import sys
import time

sys.dont_write_bytecode = True

from cases.crowd import crowd
from parts import results
from parts.bench import PLACE, TOP, Bench, Failed, check
from parts.node import tail, write_spec

# Of all nodes, each minute.
RESTARTED = 0.2
# Which nodes are restarted, so that a second soak restarts the same.
SEED = 4
MEMORY_WITHIN = 0.05
ACCURACY_WITHIN = 0.03
# Between two readings of memory, seconds.
READ_EVERY = 10.0
# A node in its first seconds has not grown to its size.
GROWN_AFTER = 60.0
PATIENCE = 120.0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=os.path.join(TOP, "target", "release", "shoal"), help="the shoal to run")
    parser.add_argument("--minutes", type=float, default=30.0, help="of the disturbed run")
    parser.add_argument("--nodes", type=int, default=16)
    return parser.parse_args()


def spec(bench):
    return write_spec(bench, name="soak", period_ms=2000, steps=10)


def accuracies(nodes):
    """What every node's weights get right, once each has tried them."""
    return [node.until("an accuracy", lambda s: s["accuracy"] is not None, PATIENCE)["accuracy"] for node in nodes]


def undisturbed(args, minutes):
    """The accuracies of nodes that nobody touches."""
    with Bench(args.binary, "calm") as bench:
        nodes = crowd(bench, spec(bench), args.nodes)
        accuracies(nodes)
        time.sleep(minutes * 60)
        return accuracies(nodes)


class Soak:
    """The disturbed run: its nodes, what was read of them, what went wrong."""

    def __init__(self, bench, count):
        self.bench, self.nodes = bench, crowd(bench, spec(bench), count)
        self.dice = random.Random(SEED)
        # (seconds, mean bytes of the nodes that have been up for a while)
        self.memory = []
        self.restarts = 0
        self.begun = time.monotonic()

    def restart_some(self):
        """Half of them are killed, half are told to end. The first node, the others' bootstrap, is as
        likely as any; it comes back on another port, so who restarts then lives by what it remembers."""
        chosen = self.dice.sample(self.nodes, max(1, round(len(self.nodes) * RESTARTED)))
        for index, node in enumerate(chosen):
            if index % 2 == 0:
                node.kill()
            else:
                status = node.terminate()
                check(status == 0, f"{node.name} ended with {status}:\n{tail(node.log())}")
        for node in chosen:
            node.start()
            self.restarts += 1

    def read(self):
        now = time.monotonic()
        for node in self.nodes:
            node.must_run("the end of the soak")
        grown = [node.pss_bytes() for node in self.nodes if now - node.started_at >= GROWN_AFTER]
        if grown:
            self.memory.append((now - self.begun, statistics.mean(grown)))

    def go_on(self, minutes):
        end, next_restart = self.begun + minutes * 60, self.begun + 60
        while time.monotonic() < end:
            time.sleep(min(READ_EVERY, max(0.0, end - time.monotonic())))
            self.read()
            if time.monotonic() >= next_restart and end - time.monotonic() > 30:
                self.restart_some()
                next_restart += 60

    def panics(self):
        return [node.name for node in self.nodes if "panicked" in node.log()]

    def growth(self, minutes):
        """How much the last third grew: the mean of its second half over that of its first, minus 1."""
        third = [size for second, size in self.memory if second >= minutes * 40]
        half = len(third) // 2
        return statistics.mean(third[half:]) / statistics.mean(third[:half]) - 1 if half else None


def judge(figures):
    """What was to be seen and was not."""
    wrong = []
    if figures["panics"]:
        wrong.append(f"panics: {figures['panics']}")
    if figures["growth"] is None or abs(figures["growth"]) > MEMORY_WITHIN:
        wrong.append(f"memory grew by {figures['growth']} in the last third, at most {MEMORY_WITHIN} was to be")
    calm = statistics.median(figures["undisturbed"])
    low = min(figures["disturbed"])
    if low < calm - ACCURACY_WITHIN:
        wrong.append(f"an accuracy of {low:.4f}, {calm:.4f} undisturbed")
    return wrong


def main():
    # Whoever ends this script ends its nodes as well: `with` sees to it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args = arguments()
    args.binary = os.path.abspath(args.binary)
    os.makedirs(PLACE, exist_ok=True)
    calm = undisturbed(args, args.minutes / 10)
    print(f"undisturbed: accuracy {min(calm):.4f} to {max(calm):.4f}", flush=True)
    try:
        with Bench(args.binary, "soak") as bench:
            soak = Soak(bench, args.nodes)
            soak.go_on(args.minutes)
            figures = {
                "minutes": args.minutes,
                "nodes": args.nodes,
                "restarts": soak.restarts,
                "panics": soak.panics(),
                "growth": soak.growth(args.minutes),
                "memory": soak.memory,
                "rounds": [node.status()["round"] for node in soak.nodes],
                "disturbed": accuracies(soak.nodes),
                "undisturbed": calm,
            }
    except Failed as failed:
        print(f"failed: {failed}\n0 passed, 1 failed, 0 skipped")
        return 1
    for name, figure in figures.items():
        results.keep("soak", name, figure)
    wrong = judge(figures)
    print(f"{figures['restarts']} restarts; accuracy {min(figures['disturbed']):.4f} to {max(figures['disturbed']):.4f}; "
          f"rounds {min(figures['rounds'])} to {max(figures['rounds'])}; memory of the last third grew by {figures['growth']:+.1%}")
    for line in wrong:
        print(f"failed: {line}")
    print(f"{0 if wrong else 1} passed, {1 if wrong else 0} failed, 0 skipped")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
