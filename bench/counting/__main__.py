"""python -m bench.counting --data DIR: our counts beside those that providers reported, cold and calibrated.

Each recorded exchange with a request and the provider's input tokens is counted by the service's own objects: cold, and
with a calibration that learned from all other exchanges of the same provider (leave one out).
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import score_counting
from bench.counting.read import conversation_of, model_of
from services.context.calibrate import Calibration, Report, learned
from services.context.calibrations import read_ref
from services.context.families import family_name, family_of
from services.context.memo import Memo
from services.context.ranks import Encodings
from services.context.tokens import Counted, TokenCounter

_APIS = ("openai.chat", "openai.responses", "anthropic.messages", "gemini.generate", "cohere.chat", "ollama.chat")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One recorded exchange. `reported`: the provider's input tokens."""

    id: str
    provider: str
    model: str
    wire_format: str
    reported: int
    row: dict[str, Any]


def main() -> None:
    """Run, score, print; the last line is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m bench.counting", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="<api>.jsonl.gz of recorded exchanges")
    parser.add_argument("--predictions", type=Path, help="keep the rows in this file")
    given = parser.parse_args()
    missing = [api for api in _APIS if not (given.data / f"{api}.jsonl.gz").exists()]
    if missing:
        print(f"bench.counting: {given.data / missing[0]}.jsonl.gz is not there", file=sys.stderr)
        sys.exit(2)
    rows = list(run(list(exchanges(given.data))))
    if given.predictions:
        given.predictions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    figures = score_counting.figures(rows)
    score_counting.show(figures)
    print(json.dumps(figures))


def exchanges(data: Path) -> Iterator[Exchange]:
    """All that hold both a request and the provider's input tokens."""
    for api in _APIS:
        with gzip.open(data / f"{api}.jsonl.gz", "rt") as lines:
            for line in lines:
                row = json.loads(line)
                reported = (row["expected"].get("usage") or {}).get("input_tokens")
                if row["request"] and reported:
                    yield Exchange(row["id"], row["provider"], model_of(row), api, reported, row["request"]["body"])


def run(all_exchanges: Sequence[Exchange]) -> Iterator[dict[str, Any]]:
    """A row per exchange."""
    counter = TokenCounter(Encodings(), Memo(1))
    by_provider: dict[str, list[tuple[Exchange, Counted]]] = defaultdict(list)
    for exchange in all_exchanges:
        conversation = conversation_of(exchange.row, exchange.model)
        counted = counter.count(conversation, exchange.model, exchange.wire_format)
        by_provider[exchange.provider].append((exchange, counted))
    for group in by_provider.values():
        for place, (exchange, counted) in enumerate(group):
            cold = counted.total()
            calibration = _without(group, place)
            own = _calibrated(counted, calibration, exchange.model)
            yield {
                "id": exchange.id,
                "provider": exchange.provider,
                "model": exchange.model,
                "reported": exchange.reported,
                "cold": {"estimate": cold.estimate, "upper_bound": cold.upper_bound},
                "calibrated": own,
                "others": len(group) - 1,
            }


def _without(group: Sequence[tuple[Exchange, Counted]], left_out: int) -> Calibration:
    """What the service has learned from all others."""
    asked = group[left_out][0]
    line = family_name(asked.model)
    others = [
        _report(exchange, counted)
        for place, (exchange, counted) in enumerate(group)
        if place != left_out and family_name(exchange.model) == line
    ]
    return learned(others, asked.model, asked.wire_format, is_exact=family_of(asked.model).is_exact)


def _report(exchange: Exchange, counted: Counted) -> Report:
    read = read_ref(counted.ref())
    return Report(read.estimate, read.features, exchange.reported, read.model, read.wire_format, read.pieces)


def _calibrated(counted: Counted, calibration: Calibration, model: str) -> dict[str, int]:
    """The count of the same conversation, with a calibration: as a service that has it would count."""
    exact = family_of(model).is_exact
    parts = [calibration.applied(tokens, is_exact=exact) for tokens in (counted.fixed, *counted.messages)]
    return {
        "estimate": round(sum(part.estimate for part in parts)),
        "upper_bound": sum(part.upper_bound for part in parts) + calibration.spare,
    }


if __name__ == "__main__":
    main()
