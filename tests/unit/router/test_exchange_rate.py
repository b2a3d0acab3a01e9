"""What a dollar is worth: as much as keeps the predicted quality of late requests at the reference's."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.router.exchange_rate import ExchangeRate

COST = np.array([0.0001, 0.001, 0.01])


def test_the_first_requests_take_the_cheapest_model_that_is_as_good_as_the_reference():
    rate = ExchangeRate()
    found = rate.of(np.array([0.7, 0.9, 0.9]), COST, 0.9)
    assert np.argmax(np.array([0.7, 0.9, 0.9]) - found * COST) == 1


def test_money_is_ignored_where_nothing_is_as_good():
    rate = ExchangeRate()
    quality = np.array([0.5, 0.6, 0.9])
    assert np.argmax(quality - rate.of(quality, COST, 0.9) * COST) == 2


def test_where_the_cheap_one_is_better_it_pays_for_where_it_is_a_little_worse():
    rate, chosen, mean = ExchangeRate(), [], []
    for number in range(400):
        cheap = 0.95 if number % 2 else 0.86
        quality = np.array([cheap, 0.5, 0.90])
        place = int(np.argmax(quality - rate.of(quality, COST, 0.90) * COST))
        if number >= 100:
            chosen.append(place)
            mean.append(quality[place])
    assert chosen.count(0) == len(chosen)
    assert np.mean(mean) >= 0.90


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1))
def test_the_predicted_quality_stays_at_the_references(seed):
    random, rate = np.random.default_rng(seed), ExchangeRate()
    chosen, wanted = [], []
    for number in range(1_000):
        quality = np.clip(random.normal([0.6, 0.7, 0.75], 0.15), 0, 1)
        cost = COST * random.uniform(0.5, 2)
        place = int(np.argmax(quality - rate.of(quality, cost, quality[2]) * cost))
        if number >= 300:
            chosen.append(quality[place])
            wanted.append(quality[2])
    assert np.mean(chosen) >= np.mean(wanted) - 0.02
