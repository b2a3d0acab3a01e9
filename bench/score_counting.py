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
            "from_100_tokens": _of(_large(rows), kind) if _large(rows) else None,
            "by_provider": {name: _of(some, kind) for name, some in sorted(groups.items())},
        }
        for kind in ("cold", "calibrated")
    }


def show(found: Mapping[str, Any]) -> None:
    """Print the figures for a person."""
    for kind, parts in found.items():
        print(f"\n{kind}: error of the estimate in %, and how often the upper bound held")
        groups = {"all": parts["all"], "from 100 tokens": parts["from_100_tokens"], **parts["by_provider"]}
        for name, values in groups.items():
            if values is None:
                continue
            print(
                f"  {name:>18}  {values['exchanges']:5} exchanges  median {values['median']:6.2f}  "
                f"p90 {values['p90']:7.2f}  p95 {values['p95']:7.2f}  within 10 %: {values['within_10']:6.2f}  "
                f"bound {values['bound_held']:6.2f} %"
            )


def _of(rows: Sequence[Row], kind: str) -> dict[str, Any]:
    errors = sorted(abs(row[kind]["estimate"] - row["reported"]) / row["reported"] for row in rows)
    held = sum(1 for row in rows if row["reported"] <= row[kind]["upper_bound"])
    return {
        "exchanges": len(rows),
        "median": round(100 * statistics.median(errors), 2),
        "p90": _quantile(errors, 0.9),
        "p95": _quantile(errors, 0.95),
        "within_10": round(100 * sum(1 for error in errors if error <= 0.1) / len(rows), 2),
        "bound_held": round(100 * held / len(rows), 2),
    }


def _quantile(errors: Sequence[float], share: float) -> float:
    return round(100 * errors[max(0, math.ceil(share * len(errors)) - 1)], 2)


def _large(rows: Sequence[Row]) -> Sequence[Row]:
    """Requests where a token or two are no more than 2 %."""
    return [row for row in rows if row["reported"] >= _LARGE]


_LARGE = 100


def main() -> None:
    """Print the figures of a file."""
    parser = argparse.ArgumentParser(prog="python -m bench.score_counting", description=__doc__)
    parser.add_argument("file", type=Path)
    given = parser.parse_args()
    print(json.dumps(figures([json.loads(line) for line in given.file.read_text().splitlines() if line])))


if __name__ == "__main__":
    main()
