#!/usr/bin/env python3
"""Runs the cases against a built binary: `interop/run.py [--binary FILE] [--only WORD].. [--list]`.

Needs Python 3.9 and nothing beside it; a case that needs more says so and is skipped. The last line
is `N passed, N failed, N skipped`; the exit code is 1 if one failed.
"""

import argparse
import os
import signal
import sys
import time
import traceback

# The tree stays as it is.
sys.dont_write_bytecode = True

from cases import crowd, lan, nat, openai, rendezvous, topic
from parts.bench import PLACE, TOP, Bench, Failed, Skipped

GROUPS = {"topic": topic.CASES, "rendezvous": rendezvous.CASES, "lan": lan.CASES, "nat": nat.CASES, "openai": openai.CASES}
# Run only when named with --only: minutes of all cores.
HEAVY = {"crowd": crowd.CASES}


def arguments():
    parser = argparse.ArgumentParser(description="Nodes against foreign peers, over loopback and between hosts of network namespaces.")
    parser.add_argument("--binary", default=os.path.join(TOP, "target", "release", "shoal"), help="the shoal to run")
    parser.add_argument("--only", action="append", default=[], metavar="WORD", help="only cases with this word in their name")
    parser.add_argument("--keep", action="store_true", help="keep the folders of cases that passed, too")
    parser.add_argument("--list", action="store_true", help="list the cases and end")
    return parser.parse_args()


def named(groups):
    return [(case, f"{group}.{case.__name__}") for group, cases in groups.items() for case in cases]


def run(case, name, args):
    """Runs one case and says how it ended."""
    begun, bench = time.monotonic(), Bench(os.path.abspath(args.binary), case.__name__, args.keep)
    try:
        with bench:
            case(bench)
        outcome, more = "passed", "; ".join(bench.notes)
    except Skipped as why:
        outcome, more = "skipped", str(why)
    except Failed as why:
        outcome, more = "failed", "; ".join([str(why), *bench.notes])
    except Exception:  # A case that breaks has failed; the others are run all the same.
        outcome, more = "failed", traceback.format_exc()
    print(f"{outcome:8}{name}: {case.__doc__.splitlines()[0]} ({time.monotonic() - begun:.1f} s){': ' if more else ''}{more}", flush=True)
    return outcome


def main():
    # Whoever ends this script ends its nodes and hosts as well: `with` sees to it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args = arguments()
    cases = named(GROUPS | HEAVY if args.only or args.list else GROUPS)
    cases = [(case, name) for case, name in cases if not args.only or any(word in name for word in args.only)]
    if args.list:
        print("\n".join(f"{name}: {case.__doc__.splitlines()[0]}" for case, name in cases))
        return 0
    if not os.access(args.binary, os.X_OK):
        print(f"error: {args.binary} is not there\nhelp: build it with `make build` or name one with --binary", file=sys.stderr)
        return 1
    os.makedirs(PLACE, exist_ok=True)
    outcomes = [run(case, name, args) for case, name in cases]
    print(", ".join(f"{outcomes.count(outcome)} {outcome}" for outcome in ("passed", "failed", "skipped")), flush=True)
    return 1 if "failed" in outcomes or not outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
