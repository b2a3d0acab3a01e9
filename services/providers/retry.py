"""Whether a failed call is made again, and when: tenacity's machinery under our rules, a deadline and a budget.

The first attempt goes past the machinery: most calls never need it. A retry costs the provider as much as a first call,
so retries may be a share of all calls and no more (Finagle's RetryBudget): an outage is not made worse by them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState

from services.chassis.clock import Clock
from services.chassis.errors import ServiceError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryRules:
    """`attempts` in all; waits in seconds: the first, what a provider may ask for at most; retries per call made."""

    attempts: int = 3
    first_wait: float = 0.1
    longest_wait: float = 5.0
    budget: float = 0.2


@dataclass(frozen=True, slots=True)
class Again:
    """It may be tried again: elsewhere at once, or not before `seconds` have passed."""

    seconds: float
    elsewhere: bool


class RetryBudget:
    """Retries that are left: `share` of one more with each call, and one each second so that rare calls have some."""

    def __init__(self, share: float, *, most: float = 100.0, at_first: float = 10.0) -> None:
        self._share = share
        self._most = most
        self._left = at_first
        self._filled = 0.0

    def called(self, now: float) -> None:
        """A call is made."""
        trickle = max(0.0, now - self._filled) if self._filled else 0.0
        self._filled = now
        self._left = min(self._left + self._share + trickle, self._most)

    def take(self) -> bool:
        """Whether there is one left; it is gone then."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Retries:
    """Makes attempts until one succeeds, or another would be no use."""

    def __init__(self, rules: RetryRules, clock: Clock, random: Random) -> None:
        self._rules = rules
        self._clock = clock
        self._random = random
        self._budget = RetryBudget(rules.budget)

    async def run(
        self,
        attempt: Callable[[], Awaitable[T]],
        again: Callable[[ServiceError], Again | None],
        deadline: float | None,
    ) -> T:
        """The first success. Raises the last failure. `again` says what a failure leaves to try; None: nothing."""
        self._budget.called(self._clock.monotonic())
        try:
            return await attempt()
        except ServiceError as failure:
            if self._rules.attempts < 2 or again(failure) is None:
                raise
            return await self._go_on(attempt, again, deadline, failure)

    async def _go_on(
        self,
        attempt: Callable[[], Awaitable[T]],
        again: Callable[[ServiceError], Again | None],
        deadline: float | None,
        first: ServiceError,
    ) -> T:
        made = 0

        async def numbered() -> T:
            nonlocal made
            made += 1
            if made == 1:
                raise first
            return await attempt()

        def worth(state: RetryCallState) -> bool:
            failure = _failure(state)
            return isinstance(failure, ServiceError) and again(failure) is not None

        def wait(state: RetryCallState) -> float:
            failure = _failure(state)
            found = again(failure) if isinstance(failure, ServiceError) else None
            if found is None or found.elsewhere:
                return 0.0
            backoff = self._rules.first_wait * (1 << (state.attempt_number - 1))
            return max(found.seconds, backoff * self._random.uniform(0.5, 1.0))

        def stop(state: RetryCallState) -> bool:
            if state.attempt_number >= self._rules.attempts or state.upcoming_sleep > self._rules.longest_wait:
                return True
            if deadline is not None and self._clock.monotonic() + state.upcoming_sleep >= deadline:
                return True
            return not self._budget.take()

        retrying = AsyncRetrying(sleep=self._clock.sleep, retry=worth, wait=wait, stop=stop, reraise=True)
        result: T = await retrying(numbered)
        return result


def _failure(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None
