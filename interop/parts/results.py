"""Figures that cases keep for the tables of docs/NETWORK.md: one JSON object a key below target/."""

import json
import os

from .bench import PLACE


def path(table):
    return os.path.join(PLACE, f"{table}.json")


def load(table):
    """Everything kept for this table, in the order in which it was first kept."""
    if not os.path.exists(path(table)):
        return {}
    with open(path(table), encoding="utf-8") as file:
        return json.load(file)


def keep(table, key, figures):
    rows = load(table)
    rows[key] = figures
    with open(path(table), "w", encoding="utf-8") as file:
        json.dump(rows, file, indent=1)
