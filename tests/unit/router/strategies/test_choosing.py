"""cost_aware: the best worth, and the cheapest above a threshold."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as some

from services.router.strategies.cost_aware import cheapest_above, choose, ordered

shares = some.lists(some.tuples(some.floats(0, 1), some.floats(0, 1)), min_size=1, max_size=8)


@given(shares, some.floats(0, 100))
def test_the_first_of_the_order_is_the_choice(pairs, rate):
    quality, cost = np.array(pairs).T
    order = ordered(quality, cost, rate)
    assert order[0] == choose(quality, cost, rate)
    assert sorted(order) == list(range(len(pairs)))


def test_the_rate_weighs_money_against_quality():
    quality, cost = np.array([0.9, 0.8]), np.array([0.01, 0.001])
    assert choose(quality, cost, 0.0) == 0
    assert choose(quality, cost, 5.0) == 0
    assert choose(quality, cost, 20.0) == 1


@given(shares, some.floats(0, 1))
def test_above_a_threshold_the_cheapest_comes_first_and_the_rest_by_quality(pairs, threshold):
    quality, cost = np.array(pairs).T
    order = cheapest_above(quality, cost, threshold)
    good = [place for place in order if quality[place] >= threshold]
    poor = order[len(good) :]
    assert order[: len(good)] == good
    assert all(quality[place] < threshold for place in poor)
    assert (np.diff(cost[good]) >= 0).all()
    assert (np.diff(quality[poor]) <= 0).all()
