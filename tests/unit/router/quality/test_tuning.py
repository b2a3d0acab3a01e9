"""The rate of exchange: what is saved counts by how probably it keeps the quality."""

from __future__ import annotations

import numpy as np

from services.router.quality.tuning import NOTHING, rates_for, tune, weighed

ROWS = 2_000


def test_nothing_is_chosen_where_everything_cheaper_is_clearly_worse():
    quality, cost = np.ones(ROWS), np.full(ROWS, 2.0)
    assert tune([1.0, 2.0], lambda rate: (quality - 0.1, cost / 2), quality, cost) == NOTHING


def test_the_larger_of_two_safe_savings_is_chosen():
    quality, cost = np.ones(ROWS), np.full(ROWS, 2.0)
    found = tune([0.25, 0.5, 0.75], lambda rate: (quality, cost * (1 - rate)), quality, cost)
    assert found.rate == 0.75
    assert found.saving == 0.75


def test_a_risky_saving_is_worth_less_than_a_sure_one():
    chance = np.random.default_rng(1)
    reference = (chance.random(ROWS) < 0.7).astype(float)
    sure = weighed(1.0, reference, np.ones(ROWS), reference, np.full(ROWS, 2.0))
    shuffled = chance.permutation(reference)
    risky = weighed(2.0, shuffled, np.full(ROWS, 0.9), reference, np.full(ROWS, 2.0))
    assert risky.saving > sure.saving
    assert risky.value < sure.value


def test_rates_span_from_quality_alone_to_money_alone():
    rates = rates_for(0.002)
    assert rates[0] * 0.002 < 0.01
    assert rates[-1] * 0.002 > 1
