"""bench.cache: what its split keeps apart, what its yardstick serves, and what its scorer makes of rows."""

from __future__ import annotations

import io
import json

import pytest

from bench.cache import cosine
from bench.cache.pairs import Pair, Stream, inner_split
from bench.score_cache import figures, table
from omnisphere.cache.v1 import cache_service_pb2 as pb


def natural(number: int, *, same: bool) -> Pair:
    return Pair(f"a{number}", f"b{number}", same, "mrpc", "mrpc")


STREAM = [natural(number, same=number < 3) for number in range(4)]


def test_patterns_that_are_only_judged_have_right_answers_among_them():
    pairs = [
        Pair(f"a {kind} {number}", f"b {kind} {number}", kind % 2 == 0, "checklist", f"kind {kind}")
        for kind in range(12)
        for number in range(10)
    ]
    fit, judge = inner_split(pairs)
    unseen = {pair.kind for pair in judge} - {pair.kind for pair in fit}
    with_right = {pair.kind for pair in judge if pair.same and pair.kind in unseen}
    assert (len(unseen), len(with_right)) == (4, 2)


def test_the_yardstick_serves_down_to_the_cosine_that_keeps_the_budget(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(cosine, "BUDGETS", (0.0, 0.5))
    vectors = {f"a{number}": pb.Vector(values=[float(place == number) for place in range(4)]) for number in range(4)}
    # The nearest is the right one, from 1.0 downwards; the third is the wrong pair.
    order = {0: 1.0, 1: 0.9, 3: 0.8, 2: 0.7}
    for number, length in order.items():
        vectors[f"b{number}"] = pb.Vector(values=[length * value for value in vectors[f"a{number}"].values])
    into = io.StringIO()
    cosine.judge(Stream(STREAM), Stream(STREAM), vectors, into)
    rows = [json.loads(line) for line in into.getvalue().splitlines()]
    hits = {budget: {row["query"] for row in rows if row["hit"] and row["budget"] == budget} for budget in (0.0, 0.5)}
    assert hits == {0.0: {"b0", "b1"}, 0.5: {"b0", "b1", "b2", "b3"}}


def test_a_difference_is_paired_and_a_missing_row_is_a_false_hit():
    def row(artefact: str, number: int, *, hit: bool) -> dict[str, object]:
        asked = {"artefact": artefact, "budget": 0.005, "stream": "mrpc", "kind": "mrpc", "query": f"b{number}"}
        return asked | {"hit": hit, "matched": f"a{number}" if hit else None}

    rows = [row("shipped", number, hit=number < 2) for number in range(3)]
    rows += [row("cosine", number, hit=number == 0) for number in range(4)]
    found = figures(rows, [], STREAM)
    natural = found["shipped"]["0.005"]["natural"]
    assert (natural["true"]["share"], natural["false"]["share"]) == (0.5, 0.25)
    difference = found["shipped"]["0.005"]["natural - cosine"]["true"]
    assert difference["share"] == 0.25
    assert 0 <= difference["interval"][0] <= difference["interval"][1] <= 1
    assert "natural - cosine" not in found["cosine"]["0.005"]
    assert "natural - cosine" in table(found)
