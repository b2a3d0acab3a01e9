"""The scorer of bench.routing against figures that can be found by hand or by brute force."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

pytest.importorskip("pyarrow")

from bench.score_routing import Truth, area, auc, deployed, held_out, hull, over_splits, saved_at, scored, trade_off

points = some.lists(some.tuples(some.integers(1, 50), some.integers(0, 50)), min_size=1, max_size=8)


@given(points)
def test_the_hull_is_the_highest_mix_of_any_two_points(pairs):
    made = np.array(pairs, float)
    edge = hull(made)
    assert (np.diff(edge[:, 0]) > 0).all()
    assert (np.diff(edge[:, 1]) > 0).all()
    for at in np.linspace(made[:, 0].min(), made[:, 0].max(), 7):
        best = max((quality for cost, quality in pairs if cost <= at), default=0.0)
        for (c1, q1), (c2, q2) in combinations(pairs, 2):
            if c1 != c2 and min(c1, c2) <= at <= max(c1, c2):
                best = max(best, q1 + (q2 - q1) * (at - c1) / (c2 - c1))
        assert np.interp(at, edge[:, 0], edge[:, 1]) == pytest.approx(best)


def test_the_area_of_two_models_is_a_trapezoid():
    usd = np.array([[1.0, 3.0]])
    assert area(np.array([[1.0, 0.4], [3.0, 0.8]]), usd) == pytest.approx(0.6)


def test_what_the_hull_saves_is_read_off_linearly():
    made = np.array([[1.0, 0.4], [3.0, 0.8]])
    assert saved_at(made, 1.0, 0.8, 3.0) == pytest.approx(0)
    assert saved_at(made, 0.75, 0.8, 3.0) == pytest.approx(1 - 2 / 3)
    assert saved_at(made, 1.0, 0.9, 3.0) is None


def test_a_perfect_score_sends_only_those_that_gain():
    quality = np.array([[1, 1], [0, 1], [0, 1], [1, 0]], float)
    found = trade_off(quality[:, 1] - quality[:, 0], quality)
    assert found["cpt50"] == 25.0
    assert found["apgr"] > 1
    worst = trade_off(quality[:, 0] - quality[:, 1], quality)
    assert worst["apgr"] < 0


def test_ties_count_half():
    assert auc(np.array([[0.5], [0.5]]), np.array([[0.0], [1.0]])) == 0.5
    assert auc(np.array([[0.1], [0.5]]), np.array([[0.0], [1.0]])) == 1.0


def truth(rows=4):
    usd = np.tile([1.0, 2.0, 10.0], (rows, 1))
    quality = np.tile([0.0, 1.0, 1.0], (rows, 1))
    return Truth(tuple(map(str, range(rows))), ("a", "b", "c"), quality, usd, 2)


def test_every_call_of_a_cascade_is_paid_for_and_a_missing_row_is_wrong():
    walk = {"calls": ["a", "b"], "answer": "b"}
    row = {"p": {"a": 0.1, "b": 0.9, "c": 0.9}, "c": {"a": 1, "b": 2, "c": 10}, "choice": "b", "cascade": walk}
    found, change = scored([{"id": str(number), **row} for number in range(3)], truth())
    assert found["missing"] == 1
    assert change.tolist() == [0, 0, 0, -1]
    assert found["cascade"]["saving"] == pytest.approx(1 - (9 + 10) / 40)
    assert found["choice"]["saving"] == pytest.approx(1 - (6 + 10) / 40)
    assert found["counted"] == 0


def test_a_cascade_may_not_serve_what_it_did_not_call():
    row = {"id": "0", "p": {}, "c": {}, "choice": "b", "cascade": {"calls": ["a"], "answer": "b"}}
    with pytest.raises(ValueError, match="did not call"):
        scored([row], truth())


def test_a_saving_counts_only_with_the_quality_kept():
    made = truth(1_000)
    same, cheap = made.quality[:, 2].copy(), np.full(1_000, 1.0)
    assert deployed(same, cheap, made)["counted"] == pytest.approx(0.9)
    same[:10] = 0
    assert deployed(same, cheap, made)["counted"] == 0


def test_another_split_keeps_other_rows_and_as_many():
    ids = [f"row-{number}" for number in range(2_000)]
    kept = [{name for name in ids if held_out(name, split)} for split in range(3)]
    assert kept[0] == {name for name in ids if held_out(name)}
    assert all(340 < len(one) < 460 for one in kept)
    assert all(len(one & other) < 120 for one, other in combinations(kept, 2))


def test_figures_of_splits_are_averaged_as_deployed():
    chosen = {"choice": {"saving": 0.2, "dq": 0.0}, "aiq": 0.6, "ece_debiased": 0.0}
    walked = {**chosen, "cascade": {"saving": 0.6, "dq": -0.01}, "aiq": 0.8}
    found = over_splits(
        [{"sets": {"one": chosen}, "macro_saving": 0.2}, {"sets": {"one": walked}, "macro_saving": 0.6}]
    )
    assert found["one"] == pytest.approx({"aiq": 0.7, "ece_debiased": 0.0, "saving": 0.4, "dq": -0.005})
    assert found["macro_saving"] == pytest.approx(0.4)
