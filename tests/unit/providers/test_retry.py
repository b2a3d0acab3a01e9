"""A failed call is made again where that is worth it, after a wait, within its deadline and the budget."""

from __future__ import annotations

from random import Random

import pytest

from services.chassis.errors import ProviderRejected, ProviderUnavailable, ServiceError
from services.providers.retry import Again, Retries, RetryBudget, RetryRules
from tests.unit.providers.samples import ManualClock


class Scripted:
    """Fails so many times, then answers; notes when it was asked."""

    def __init__(self, clock: ManualClock, failures: int, error: type[ServiceError] = ProviderUnavailable) -> None:
        self._clock, self._failures, self._error = clock, failures, error
        self.at: list[float] = []

    async def __call__(self) -> str:
        self.at.append(self._clock.monotonic())
        if len(self.at) <= self._failures:
            raise self._error()
        return "answer"


def again(seconds: float = 0.0, *, elsewhere: bool = False):
    return lambda failure: Again(seconds, elsewhere) if isinstance(failure, ProviderUnavailable) else None


def retries(clock: ManualClock, **rules) -> Retries:
    return Retries(RetryRules(**{"first_wait": 1.0, "longest_wait": 10.0, **rules}), clock, Random(1))


async def test_it_is_made_again_until_it_succeeds_or_was_made_often_enough():
    clock = ManualClock()
    twice = Scripted(clock, failures=2)
    assert await retries(clock).run(twice, again(), None) == "answer"
    assert len(twice.at) == 3
    thrice = Scripted(clock, failures=3)
    with pytest.raises(ProviderUnavailable):
        await retries(clock).run(thrice, again(), None)
    assert len(thrice.at) == 3


async def test_what_another_attempt_cannot_mend_is_not_made_again():
    clock = ManualClock()
    refused = Scripted(clock, failures=1, error=ProviderRejected)
    with pytest.raises(ProviderRejected):
        await retries(clock).run(refused, again(), None)
    assert len(refused.at) == 1


async def test_the_same_place_is_asked_after_growing_waits_and_another_one_at_once():
    clock = ManualClock()
    same = Scripted(clock, failures=2)
    await retries(clock).run(same, again(), None)
    first, second = same.at[1] - same.at[0], same.at[2] - same.at[1]
    assert 0.5 <= first <= 1.0 <= second <= 2.0
    other = Scripted(clock, failures=2)
    await retries(clock).run(other, again(elsewhere=True), None)
    assert other.at[0] == other.at[2]


async def test_a_wait_that_was_asked_for_is_kept_and_one_that_is_too_long_is_not_taken():
    clock = ManualClock()
    asked = Scripted(clock, failures=1)
    await retries(clock).run(asked, again(7.0), None)
    assert asked.at[1] - asked.at[0] == 7.0
    late = Scripted(clock, failures=1)
    with pytest.raises(ProviderUnavailable):
        await retries(clock).run(late, again(11.0), None)
    assert len(late.at) == 1


async def test_no_attempt_begins_after_the_deadline():
    clock = ManualClock()
    slow = Scripted(clock, failures=2)
    with pytest.raises(ProviderUnavailable):
        await retries(clock).run(slow, again(5.0), clock.monotonic() + 8.0)
    assert len(slow.at) == 2


async def test_an_outage_is_not_made_worse_by_retries():
    clock = ManualClock()
    made, tired = 0, retries(clock, budget=0.2)
    for _ in range(1_000):
        down = Scripted(clock, failures=9)
        with pytest.raises(ProviderUnavailable):
            await tired.run(down, again(elsewhere=True), None)
        made += len(down.at)
    assert 1_150 < made < 1_250


def test_a_budget_fills_with_time_and_calls_up_to_its_most():
    budget = RetryBudget(0.5, most=3, at_first=1)
    assert budget.take()
    assert not budget.take()
    budget.called(10.0)
    budget.called(10.0)
    assert budget.take()
    budget.called(100.0)
    assert [budget.take() for _ in range(4)] == [True, True, True, False]
