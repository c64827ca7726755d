"""64 nodes of one machine find each other from a single address, which then goes away.

Heavy: two cores take minutes for it, so it is run by `make interop-64` and not with the others.

A round ends when all have spoken, but not before a tenth of its period. Five steps of this small model take
no time at all, so with a period of 8 s rounds would last a second, as no real model's do, and each node would
call eight others a second for their bodies. A period of a minute makes rounds of six seconds, the pace of the
public network's run; nothing else about the run depends on it.
"""

import os

from parts.bench import check
from parts.node import Node, loopback, write_spec

NODES = 64
KNOWN = 20
# Memory that a node may have above its model, bytes.
ABOVE_MODEL = 10 << 20
PERIOD_MS = 60_000
# Rounds that everybody goes on for after the first node is gone.
ROUNDS_ON = 3
# 64 nodes share two cores with each other: a round takes them seconds.
PATIENCE = 300.0


def arguments(spec, index, count):
    return [
        "--run", spec, "--listen", loopback()[0], "--mdns", "false", "--wait-for-peers", "3",
        "--shard", f"{index % count}/{count}", "--log", "warn",
    ]


def crowd(bench, spec, count):
    """The nodes, all started from the first one's address."""
    first = Node(bench, "node0", arguments(spec, 0, count)).start()
    address = first.address()
    nodes = [first]
    for index in range(1, count):
        nodes.append(Node(bench, f"node{index}", [*arguments(spec, index, count), "--bootstrap", address]).start())
    return nodes


def many_from_one_address(bench):
    """64 nodes know 20 peers each and train; the first is killed; newcomers still join"""
    count = int(os.environ.get("SHOAL_CROWD", NODES))
    spec = write_spec(bench, name="crowd", period_ms=PERIOD_MS, steps=5)
    nodes = crowd(bench, spec, count)
    wanted = min(KNOWN, count - 1)
    for node in nodes:
        node.until(
            f"{wanted} peers and deltas of others", lambda s: s["peers_known"] >= wanted and s["peers_heard"] >= 1, PATIENCE
        )
    seen = [node.status() for node in nodes]
    known, connected = (sorted(status[key] for status in seen) for key in ("peers_known", "connected"))
    pss = sorted(node.pss_bytes() for node in nodes)
    bench.note(
        f"{count} nodes know {known[0]} to {known[-1]} peers and are connected to {connected[0]} to {connected[-1]}; {known_memory(pss)}"
    )

    nodes[-1].terminate()
    nodes[0].kill()
    left = [(node, node.status()["round"]) for node in nodes[1:-1]]
    for node, then in left:
        node.until("more rounds with others", lambda s: s["round"] >= then + ROUNDS_ON and s["peers_heard"] >= 1, PATIENCE)
    # It was given the dead address only; whom it finds, it remembered.
    remembers = nodes[-1].start().until_heard(1, PATIENCE)
    more = ["--listen", loopback()[0], "--mdns", "false", "--wait-for-peers", "3", "--shard", f"0/{count}", "--log", "warn"]
    invited = Node(bench, "newcomer", more, verb=("join", nodes[1].ticket())).start().until_heard(1, PATIENCE)
    bench.note(f"first deltas after {remembers:.1f} s by remembered peers, after {invited:.1f} s by ticket")
    check(pss[-1] <= ABOVE_MODEL, f"a node takes {pss[-1] / 2**20:.1f} MiB: {known_memory(pss)}")


def known_memory(pss):
    return f"memory a node, PSS: {pss[0] / 2**20:.1f} to {pss[-1] / 2**20:.1f} MiB, median {pss[len(pss) // 2] / 2**20:.1f}"


CASES = [many_from_one_address]
