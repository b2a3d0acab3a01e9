"""python -m bench.score_counting FILE: the figures of a run of bench.counting, from its rows alone.

Rows: `{"id", "provider", "model", "reported", "cold": {"estimate", "upper_bound"}, "calibrated": {...}, "others"}`.
An error is the estimate's distance from what was reported, as a share of it.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Per kind of count: overall, and by provider."""
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["provider"]].append(row)
    return {
        kind: {
            "all": _of(rows, kind),
            "by_provider": {name: _of(some, kind) for name, some in sorted(groups.items())},
        }
        for kind in ("cold", "calibrated")
    }


def show(found: Mapping[str, Any]) -> None:
    """Print the figures for a person."""
    for kind, parts in found.items():
        print(f"\n{kind}: error of the estimate in %, and how often the upper bound held")
        for name, values in {"all": parts["all"], **parts["by_provider"]}.items():
            print(
                f"  {name:>18}  {values['exchanges']:5} exchanges  median {values['median']:6.2f}  "
                f"p95 {values['p95']:7.2f}  bound {values['bound_held']:6.2f} %"
            )


def _of(rows: Sequence[Row], kind: str) -> dict[str, Any]:
    errors = sorted(abs(row[kind]["estimate"] - row["reported"]) / row["reported"] for row in rows)
    held = sum(1 for row in rows if row["reported"] <= row[kind]["upper_bound"])
    return {
        "exchanges": len(rows),
        "median": round(100 * statistics.median(errors), 2),
        "p95": round(100 * errors[max(0, math.ceil(0.95 * len(errors)) - 1)], 2),
        "bound_held": round(100 * held / len(rows), 2),
    }


def main() -> None:
    """Print the figures of a file."""
    parser = argparse.ArgumentParser(prog="python -m bench.score_counting", description=__doc__)
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    print(json.dumps(figures([json.loads(line) for line in given.file.read_text().splitlines() if line])))


if __name__ == "__main__":
    main()
