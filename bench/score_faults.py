"""python -m bench.score_faults FILE: the figures of a run of bench.faults, from the rows that it wrote and no more.

pass: the caller has exactly a good endpoint's answer, in time, and the ledger is what the upstreams served (S13: the
refusal, and no other model asked; S14: a typed error that names both attempts). safe: a typed error, nothing wrong
marked complete, and a ledger that agrees. fail: everything else.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
_MOST_SECONDS = 8.0
# The upstream's word for a sum -> the ledger's.
_COUNTED = {"input_tokens": "input_uncached", "output_tokens": "output", "cost_nanousd": "cost_nanousd"}
_MODES = ("unary", "restart", "fail")


def read(path: Path) -> list[Row]:
    """The rows of a file, one JSON object a line."""
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def figures(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    """Per mode, how many pass, are safe, fail."""
    told = {mode: {"pass": 0, "safe": 0, "fail": 0} for mode in _MODES}
    for row in rows:
        told[row["mode"]][verdict(row)[0]] += 1
    return told


def verdict(row: Row) -> tuple[str, str]:
    """(pass, safe or fail; why it is no pass)."""
    if problem := _books(row):
        return "fail", problem
    if row["seconds"] > _MOST_SECONDS * len(row["events"]):
        return "fail", "too late"
    said = [_answer(row, answer) for answer in row["events"]]
    for grade in ("fail", "safe"):
        for found, why in said:
            if found == grade:
                return grade, why
    return "pass", ""


def _answer(row: Row, answer: Mapping[str, Any]) -> tuple[str, str]:
    status = answer["status"]
    if answer["complete"] and status is None:
        if row["scenario"] in ("S13", "S14"):
            return "fail", "an answer where there is none"
        return ("pass", "") if answer["text"] in row["good"].values() else ("fail", "not the endpoint's answer")
    if answer["complete"] or status is None or not status["reason"]:
        return "fail", "neither an answer nor an error"
    if row["mode"] != "unary" and answer["kinds"][-1:] != ["end"]:
        return "fail", "no end"
    if row["scenario"] == "S13":
        alone = status["reason"] == "CONTENT_FILTERED" and row["upstream"]["second"] == 0
        return ("pass", "") if alone else ("fail", "not the refusal alone")
    if row["scenario"] == "S14":
        return ("pass", "") if _names_both(row, status["metadata"]) else ("safe", "does not name both")
    return "safe", status["reason"]


def _names_both(row: Row, metadata: Mapping[str, str]) -> bool:
    """Whether the attempts in the error are as many as there were, of two models or two endpoints."""
    named = [entry.partition(":")[0] for entry in metadata.get("attempts", "").split(",")]
    return len(set(named)) > 1 and {entry["endpoint"] for entry in row["ledger"]} > {row["ledger"][0]["endpoint"]}


def _books(row: Row) -> str:
    """What differs between the ledger and the upstreams' own books; empty: nothing."""
    for side in ("second",) if row.get("foreign") else ("first", "second"):
        mine = [entry for entry in row["ledger"] if entry["endpoint"].endswith(f"-{side}")]
        theirs = row["books"][side]
        if len(mine) != theirs["requests"]:
            return f"{len(mine)} attempts booked of {theirs['requests']} at the {side}"
        counted = [entry for entry in mine if not entry["estimated"]]
        for name, field in _COUNTED.items():
            if (total := sum(entry[field] for entry in counted)) != theirs[name]:
                return f"{name} at the {side}: {total} booked of {theirs[name]}"
    return ""


def main() -> None:
    """Print the figures of a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    print(json.dumps(figures(read(parser.parse_args().file))))


if __name__ == "__main__":
    main()
