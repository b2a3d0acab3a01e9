"""python -m bench.score_wire --data DIR FILE: the rows of a run of bench.wire against what was expected.

An exchange is right when every figure of it is: text, thoughts (without white space), refusal, tool calls, finish word
and class, usage, signatures, model, completeness; of an error its class and how long to wait. Partial answers
(`partial`) are compared in text, model and error. A missing row is wrong. An id that the provider did not give is not
compared.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]
_CLEAN = re.compile(r"[a-z0-9_.-]{1,64}")
_FIELDS = ("text", "refusal", "finish_reason", "finish_class", "usage", "signatures", "complete", "model")
# A date in a header is rounded to seconds, and time passes until it is read.
_SECONDS = 3.0


def expectations(data: Path) -> dict[str, Json]:
    """Every exchange by its id; those whose expected values are kept apart are left out."""
    records = (record for path in sorted(data.glob("*.jsonl.gz")) for record in _lines(path))
    return {record["id"]: record for record in records if record.get("expected")}


def differences(record: Json, row: Json | None) -> list[str]:
    """What of a row is not as expected; empty: nothing."""
    if row is None:
        return ["missing"]
    expected = record["expected"]
    if expected["error"]:
        return _error(record, row)
    if row["error"]:
        return [f"error {row['error']['class']}"]
    if "embeddings" in expected:
        return _vectors(expected, row)
    wrong = [name for name in _FIELDS if row[name] != expected[name]]
    if "".join(row["reasoning_text"].split()) != "".join(expected["reasoning_text"].split()):
        wrong.append("reasoning_text")
    if not _same_calls(row["tool_calls"], expected["tool_calls"]):
        wrong.append("tool_calls")
    return wrong


def error_class(error: Json) -> str:
    """The provider's type, else its code, else its status, as the contract cleans it."""
    for value in (error["type"], error["code"]):
        text = str(value).lower() if value is not None else ""
        if _CLEAN.fullmatch(text):
            return text
    return f"http_{error['status'] or 200}"


def figures(expected: Mapping[str, Json], rows: Mapping[str, Json]) -> dict[str, Any]:
    """The object of the last line."""
    wrong: dict[str, list[str]] = {}
    total, right, parts = Counter[str](), Counter[str](), Counter[str]()
    for record_id, record in expected.items():
        group = _group(record)
        total[group] += 1
        found = differences(record, rows.get(record_id))
        if found:
            wrong[record_id] = found
            parts.update(found)
        else:
            right[group] += 1
    recorded = [name for name in total if not name.startswith("fault.")]
    return {
        "recorded": {"right": sum(right[name] for name in recorded), "total": sum(total[name] for name in recorded)},
        "faults": {
            "right": sum(right[name] for name in total if name not in recorded),
            "total": sum(total[name] for name in total if name not in recorded),
        },
        "groups": {name: {"right": right[name], "total": total[name]} for name in sorted(total)},
        "differences": dict(parts.most_common()),
        "wrong": dict(sorted(wrong.items())),
    }


def show(expected: Mapping[str, Json], rows: Mapping[str, Json]) -> None:
    """A table for a person, and the figures as JSON."""
    found = figures(expected, rows)
    print(f"{'group':<32} {'right':>6} {'total':>6} {'share':>8}")
    for name, counts in [*found["groups"].items(), *((name, found[name]) for name in ("recorded", "faults"))]:
        share = counts["right"] / counts["total"] if counts["total"] else math.nan
        print(f"{name:<32} {counts['right']:>6} {counts['total']:>6} {share:>8.2%}")
    for record_id, wrong in found["wrong"].items():
        print(f"wrong: {record_id}: {', '.join(wrong)}")
    print(json.dumps(found))


def _error(record: Json, row: Json) -> list[str]:
    expected, error = record["expected"], row["error"]
    if error is None:
        return ["no error"]
    wrong = []
    if error["class"] != error_class(expected["error"]):
        wrong.append(f"class {error['class']}")
    waits = expected["error"]["retry_after"]
    if (waits is None) != (error["retry_after"] is None) or (
        waits is not None and abs(waits - error["retry_after"]) > _SECONDS
    ):
        wrong.append(f"retry_after {error['retry_after']}")
    if row["complete"]:
        wrong.append("complete")
    if expected.get("partial"):
        wrong += [name for name in ("text", "model") if row[name] != expected[name]]
    return wrong


def _vectors(expected: Json, row: Json) -> list[str]:
    wanted, got = expected["embeddings"], row["vectors"]
    same = (got["count"], got["dim"]) == (wanted["count"], wanted["dim"])
    close = same and all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(got["first3"], wanted["first3"], strict=True))
    wrong = [] if close else ["vectors"]
    used = (row["usage"] or {}).get("input_tokens")
    wrong += [] if used == expected["usage"]["input_tokens"] else ["usage"]
    return wrong if row["model"] == expected["model"] else [*wrong, "model"]


def _same_calls(got: list[Json], wanted: list[Json]) -> bool:
    if len(got) != len(wanted):
        return False
    return all(
        a["name"] == b["name"] and a["arguments"] == b["arguments"] and b["id"] in (None, a["id"])
        for a, b in zip(got, wanted, strict=True)
    )


def _group(record: Json) -> str:
    return f"fault.{record['fault']}" if record.get("synthetic") else str(record["api"])


def _lines(path: Path) -> Iterator[Json]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def main() -> int:
    """Score a file of rows."""
    parser = argparse.ArgumentParser(prog="bench.score_wire", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="a folder of <api>.jsonl.gz and faults.jsonl.gz")
    parser.add_argument("rows", type=Path, help="what bench.wire --predictions wrote")
    arguments = parser.parse_args()
    rows = {row["id"]: row for row in map(json.loads, arguments.rows.read_text().splitlines())}
    show(expectations(arguments.data), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
