"""The best of many ways to choose looks better than it is; how much better is found out."""

from __future__ import annotations

import numpy as np

from services.training.folds import folds
from services.training.luck import Trials

ROWS = 1_000
PART = folds([str(number) for number in range(ROWS)], 5, "test")


def tried(ways: int, gain: float) -> Trials:
    """So many ways that are equally good, each with dice of its own, at half the reference's cost."""
    chance = np.random.default_rng(3)
    reference = (chance.random(ROWS) < 0.7).astype(float)
    trials = Trials(PART, reference, np.full(ROWS, 2.0))
    for way in range(ways):
        trials.add((chance.random(ROWS) < 0.7 + gain).astype(float), np.full(ROWS, 1.0 - way / ways / 100))
    return trials


def test_the_best_of_many_equal_ways_is_mostly_luck():
    assert tried(200, 0.0).luck() > 0.02


def test_nothing_tried_is_no_luck():
    assert tried(0, 0.0).luck() == 0.0


def test_where_no_way_would_be_taken_there_is_no_luck():
    assert tried(20, -0.3).luck() == 0.0


def test_the_same_change_on_every_row_is_no_luck():
    reference = np.full(ROWS, 0.5)
    trials = Trials(PART, reference, np.full(ROWS, 2.0))
    trials.add(reference + 0.1, np.ones(ROWS))
    assert trials.luck() < 1e-9
