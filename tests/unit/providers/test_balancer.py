"""Calls go where weight and load say."""

from __future__ import annotations

from collections import Counter
from random import Random

from services.providers.balancer import BALANCERS, BalancerName, Load


def shares(name: BalancerName, loads: list[Load], calls: int = 6_000) -> list[float]:
    random = Random(7)
    chosen = Counter(BALANCERS[name].choose(loads, random) for _ in range(calls))
    return [chosen[place] / calls for place in range(len(loads))]


def test_by_weight_an_endpoint_of_weight_three_gets_three_calls_of_four():
    found = shares("weighted", [Load(3.0, 9, 9.0), Load(1.0, 0, 0.1)])
    assert abs(found[0] - 0.75) < 0.02


def test_of_two_the_quicker_the_less_busy_and_the_heavier_are_taken():
    assert shares("power_of_two", [Load(1.0, 0, 0.5), Load(1.0, 0, 0.1)]) == [0, 1]
    assert shares("power_of_two", [Load(1.0, 3, 0.1), Load(1.0, 1, 0.1)]) == [0, 1]
    assert shares("power_of_two", [Load(4.0, 1, 0.1), Load(1.0, 0, 0.1)]) == [1, 0]


def test_of_three_the_worst_is_never_taken_and_the_best_not_always():
    found = shares("power_of_two", [Load(1.0, 0, 0.1), Load(1.0, 0, 0.2), Load(1.0, 0, 0.3)])
    assert found[2] == 0
    assert 0.6 < found[0] < 0.72


def test_an_endpoint_of_which_nothing_is_known_is_tried_but_not_stormed():
    assert shares("power_of_two", [Load(1.0, 0, 0.0), Load(1.0, 1, 0.2)])[0] == 1
    assert shares("power_of_two", [Load(1.0, 5, 0.0), Load(1.0, 1, 0.2)])[0] == 0


def test_a_slow_endpoint_gets_little_and_what_the_quick_one_cannot_carry():
    random, busy, done = Random(3), [0, 0], [0, 0]
    seconds = (10, 1)
    ends: list[tuple[int, int]] = []
    for now in range(5_000):
        for end in [end for end in ends if end[0] <= now]:
            ends.remove(end)
            busy[end[1]] -= 1
        loads = [Load(1.0, busy[place], float(seconds[place])) for place in (0, 1)]
        place = BALANCERS["power_of_two"].choose(loads, random)
        busy[place] += 1
        done[place] += 1
        ends.append((now + seconds[place] * 30, place))
    assert 0 < done[0] / sum(done) < 0.05
