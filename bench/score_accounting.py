"""python -m bench.score_accounting FILE: do the books agree? From the rows that bench.accounting wrote and no more.

Rows: {"book": "upstream" | "metrics" | "ledger", "model", "requests", "billed", "input_tokens", "output_tokens",
"cost_nanousd", "doubled"}. `requests`: all attempts; `billed`: those of which the upstream reported usage; `doubled`:
answers of the upstream that stand in a ledger more than once. The upstream's own books decide.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]
_FIELDS = ("requests", "billed", "input_tokens", "output_tokens", "cost_nanousd")


def read(path: Path) -> list[Row]:
    """The rows of a file, one JSON object a line."""
    return [json.loads(line) for line in path.read_text().splitlines() if line]


def figures(rows: Sequence[Row]) -> dict[str, Any]:
    """Sums over all models of the upstream, and every difference of another book from it."""
    upstream = {row["model"]: row for row in rows if row["book"] == "upstream"}
    differences = []
    for row in rows:
        theirs = upstream.get(row["model"], {})
        differences += [
            f"{row['book']} of {row['model']}: {field} {row[field]}, the upstream says {theirs.get(field, 0)}"
            for field in _FIELDS
            if row.get(field) is not None and row[field] != theirs.get(field, 0)
        ]
    for book in ("metrics", "ledger"):
        mine = {row["model"] for row in rows if row["book"] == book}
        differences += [f"{book}: nothing of {model}" for model in sorted(upstream.keys() - mine)]
    total = {field: sum(row[field] for row in upstream.values()) for field in _FIELDS}
    doubled = sum(row.get("doubled", 0) for row in rows)
    return {**total, "doubled": doubled, "differences": differences}


def main() -> None:
    """Print the figures of a file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    print(json.dumps(figures(read(parser.parse_args().file))))


if __name__ == "__main__":
    main()
