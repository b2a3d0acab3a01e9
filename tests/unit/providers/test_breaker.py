"""A breaker opens after failures in a row, and closes after a probe."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.providers.breaker import Breaker, BreakerRules

RULES = BreakerRules(failures=3, first=5, most=20)


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker(RULES)
    for _ in range(RULES.failures):
        breaker.start()
        breaker.failed(now)
    return breaker


def test_it_opens_after_failures_in_a_row_only():
    breaker = Breaker(RULES)
    said = []
    for fails in (True, True, False, True, True, True):
        breaker.start()
        if fails:
            said.append(breaker.failed(0.0))
        else:
            breaker.succeeded()
    assert said == [False, False, False, False, True]
    assert breaker.rests_for(0.0) == RULES.first
    assert breaker.rests_for(4.0) == 1.0


def test_after_its_time_one_call_probes_and_the_others_wait():
    breaker = opened()
    assert breaker.rests_for(5.0) == 0.0
    breaker.start()
    assert breaker.rests_for(5.0) > 0
    breaker.succeeded()
    assert breaker.closed
    assert breaker.rests_for(5.0) == 0.0


def test_each_failed_probe_doubles_the_rest_up_to_the_most():
    breaker, now, rests = opened(), 0.0, []
    for _ in range(4):
        rests.append(breaker.rests_for(now))
        now += rests[-1]
        breaker.start()
        assert not breaker.failed(now)
    assert rests == [5, 10, 20, 20]


def test_a_probe_that_nobody_waited_for_lets_another_one_out():
    breaker = opened()
    breaker.start()
    breaker.given_up()
    assert breaker.rests_for(5.0) == 0.0


def test_what_went_out_before_it_opened_changes_nothing_by_failing():
    breaker = opened()
    breaker.failed(3.0)
    assert breaker.rests_for(3.0) == 2.0


@given(st.lists(st.tuples(st.sampled_from(("ok", "failed", "given up")), st.floats(0, 30)), max_size=60))
def test_it_never_rests_longer_than_the_most_and_never_for_good(steps: list[tuple[str, float]]):
    breaker, now = Breaker(RULES), 0.0
    for how, passes in steps:
        now += passes
        if breaker.rests_for(now):
            continue
        breaker.start()
        if how == "ok":
            breaker.succeeded()
        elif how == "failed":
            breaker.failed(now)
        else:
            breaker.given_up()
    assert breaker.rests_for(now) <= RULES.most + 1e-9  # a difference of two moments
    assert breaker.rests_for(now + RULES.most) == 0.0
