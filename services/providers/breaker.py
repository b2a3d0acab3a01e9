"""A circuit breaker: after failures in a row nothing goes out for a while, then one call probes. No I/O.

    closed      calls go out; `failures` in a row open it
    open        none goes out until the time is over
    half open   one probe is out: its success closes, its failure opens for twice as long

https://martinfowler.com/bliki/CircuitBreaker.html
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """When it opens, and for how many seconds: at first, and at most."""

    failures: int = 5
    first: float = 5.0
    most: float = 60.0


class Breaker:
    """One place that may fail. Every allowed call says start(), and then succeeded(), failed() or given_up()."""

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._failures = 0
        self._open_for = 0.0  # 0: closed
        self._until = 0.0
        self._probing = False

    @property
    def closed(self) -> bool:
        """Whether calls go out freely."""
        return not self._open_for

    def rests_for(self, now: float) -> float:
        """Seconds until a call may go out; 0: now. While a probe is out: until it would be worth another look."""
        if not self._open_for:
            return 0.0
        left = max(0.0, self._until - now)
        return max(left, self._rules.first) if self._probing else left

    def start(self) -> None:
        """A call goes out."""
        self._probing = not self.closed

    def succeeded(self) -> None:
        """It was answered, be it with a refusal: somebody is there."""
        self._failures, self._open_for, self._probing = 0, 0.0, False

    def failed(self, now: float) -> bool:
        """It was not. True: this opened the breaker. What went out before it opened changes nothing."""
        if self.closed:
            self._failures += 1
            if self._failures < self._rules.failures:
                return False
            self._open(now, self._rules.first)
            return True
        if self._probing:
            self._open(now, min(self._open_for * 2, self._rules.most))
        return False

    def given_up(self) -> None:
        """Nobody waited for its end: it says nothing, and another may probe."""
        self._probing = False

    def _open(self, now: float, seconds: float) -> None:
        self._open_for, self._until, self._probing = seconds, now + seconds, False
