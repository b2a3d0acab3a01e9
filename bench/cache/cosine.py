"""What a cosine with a calibrated threshold would serve: the yardstick for natural paraphrases. No verifier, no rules.

Its threshold is the loosest one that keeps false hits within the budget on the natural part of the training stream, so
it is as good on natural paraphrases as a cosine can be; on near-misses it shows what a cosine costs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TextIO

import numpy as np
import numpy.typing as npt

from bench.cache.judge import BUDGETS, Vectors
from bench.cache.pairs import NATURAL, Pair, Stream

_AT_ONCE = 512
Floats = npt.NDArray[np.float32]


def natural(train: Sequence[Pair]) -> Stream:
    """The training stream without its near-misses."""
    return Stream([pair for pair in train if pair.source in NATURAL])


def judge(train: Stream, test: Stream, vectors: Vectors, into: TextIO) -> None:
    """One row per look-up of `test` and budget."""
    nearest = _nearest(test, vectors)
    for budget, threshold in zip(BUDGETS, _thresholds(train, vectors), strict=True):
        for look_up, (text, cosine) in zip(test.look_ups, nearest, strict=True):
            hit = cosine >= threshold
            said = {"artefact": "cosine", "stream": look_up.source, "kind": look_up.kind, "query": look_up.query}
            found = {"hit": hit, "matched": text if hit else None, "similarity": round(cosine, 4), "confidence": 0.0}
            reason = "semantic_hit" if hit else "miss below_threshold"
            into.write(json.dumps(said | {"budget": budget} | found | {"reason": reason}) + "\n")


def _thresholds(stream: Stream, vectors: Vectors) -> list[float]:
    nearest = _nearest(stream, vectors)
    cosines = np.array([cosine for _, cosine in nearest])
    wrong = np.array(
        [
            not stream.is_true(one.source, one.query, text)
            for one, (text, _) in zip(stream.look_ups, nearest, strict=True)
        ]
    )
    order = np.argsort(-cosines, kind="stable")
    shares = np.cumsum(wrong[order]) / len(order)
    return [_loosest(cosines[order], shares <= budget) for budget in BUDGETS]


def _loosest(falling: npt.NDArray[np.float64], within: npt.NDArray[np.bool_]) -> float:
    """The lowest cosine down to which all is within the budget."""
    first = len(within) if within.all() else int(np.argmin(within))
    return 1.01 if not first else float(falling[first - 1])


def _nearest(stream: Stream, vectors: Vectors) -> list[tuple[str, float]]:
    """The nearest cached text of each look-up, and its cosine; ("", -1) where the query has no vector."""
    cached = [text for text in stream.cached if text in vectors]
    rows = _rows(cached, vectors)
    found: list[tuple[str, float]] = [("", -1.0)] * len(stream.look_ups)
    asked = [number for number, one in enumerate(stream.look_ups) if one.query in vectors]
    for start in range(0, len(asked), _AT_ONCE):
        numbers = asked[start : start + _AT_ONCE]
        cosines = _rows([stream.look_ups[number].query for number in numbers], vectors) @ rows.T
        for number, place, row in zip(numbers, cosines.argmax(axis=1).tolist(), cosines, strict=True):
            found[number] = (cached[place], float(row[place]))
    return found


def _rows(texts: Sequence[str], vectors: Vectors) -> Floats:
    return np.array([np.array(vectors[text].values, np.float32) for text in texts])
