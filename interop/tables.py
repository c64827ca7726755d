#!/usr/bin/env python3
"""Writes what was last measured into docs/NETWORK.md, between a table's marker and the next `<!-- end -->`.

`interop/tables.py [nat] [soak]`; all tables by default. A table without figures is an error, so nobody
publishes a part of one.
"""

import os
import statistics
import sys

sys.dont_write_bytecode = True

from parts import results
from parts.bench import TOP

PAGE = os.path.join(TOP, "docs", "NETWORK.md")
NAT_ROWS = ("cone-cone", "cone-symmetric", "symmetric-symmetric", "cone-cone-udp-blocked")
HOME = {"cone": "port-restricted cone", "symmetric": "symmetric"}


def nat():
    rows = results.load("nat")
    lines = [
        "| home a | home b | met by | first connection | later connection | first deltas | cut one after the other, and then | rounds |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for key in NAT_ROWS:
        row = rows[key]
        home_a = HOME[row["a"]] + (", UDP blocked" if row["udp_blocked"] else "")
        later = row["later"] + (f" after {row['direct_s']:.1f} s" if row["direct_s"] else "")
        cells = [home_a, HOME[row["b"]], row["met_by"], row["first"], later, f"{row['deltas_s']:.1f} s", row["cuts"], str(row["rounds"])]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def soak():
    figures = results.load("soak")
    memory = [size / 2**20 for _, size in figures["memory"]]
    return [
        "| what | figure |",
        "| --- | --- |",
        f"| nodes, minutes, restarts | {figures['nodes']}, {figures['minutes']:g}, {figures['restarts']} |",
        f"| rounds of a node | {min(figures['rounds'])} to {max(figures['rounds'])} |",
        f"| panics | {len(figures['panics'])} |",
        f"| memory a node (PSS), mean of all | {min(memory):.1f} to {max(memory):.1f} MiB |",
        f"| its growth in the last third | {figures['growth']:+.1%} |",
        f"| accuracy, undisturbed | {spread(figures['undisturbed'])} |",
        f"| accuracy, a fifth restarted each minute | {spread(figures['disturbed'])} |",
    ]


def spread(values):
    return f"{min(values):.4f} to {max(values):.4f}, median {statistics.median(values):.4f}"


TABLES = {"nat": nat, "soak": soak}
MARKERS = {"nat": "<!-- nat table -->", "soak": "<!-- soak -->"}


def put(text, name, lines):
    """The page with this table renewed. Its markers must be there, once and in order."""
    begin, end = MARKERS[name], "<!-- end -->"
    if text.count(begin) != 1 or end not in text.split(begin)[1]:
        raise SystemExit(f"error: docs/NETWORK.md has no place for the {name} table\nhelp: put `{begin}` and `{end}` there")
    before, rest = text.split(begin)
    after = rest.split(end, 1)[1]
    return f"{before}{begin}\n\n" + "\n".join(lines) + f"\n\n{end}{after}"


def main():
    names = sys.argv[1:] or list(TABLES)
    with open(PAGE, encoding="utf-8") as page:
        text = page.read()
    for name in names:
        try:
            text = put(text, name, TABLES[name]())
        except KeyError as missing:
            raise SystemExit(f"error: no figures for {missing} in the {name} table\nhelp: run `make interop` or `make soak` first") from None
    with open(PAGE, "w", encoding="utf-8") as page:
        page.write(text)


if __name__ == "__main__":
    main()
