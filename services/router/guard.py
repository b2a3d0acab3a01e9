"""Leaves a side service alone for a while after failures, so that its outage costs no time. No I/O.

state     event                      next
working   failure (less than 3rd)    working
working   3rd failure in a row       resting for 0.2 s
resting   asked before the end       resting (no call)
resting   asked after the end        one trial call
trial     success                    working
trial     failure                    resting, twice as long, at most 5 s
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from services.chassis.clock import Clock
from services.chassis.errors import ContextTooLong, InvalidRequest, ServiceError

_FAILURES = 3
_FIRST_REST = 0.2
_LONGEST_REST = 5.0
# The service is well: it answered, only not as the caller hoped.
_ANSWERS = (ContextTooLong, InvalidRequest)


class Guard:
    """Says whether a call may go out. `now` is in seconds of a monotonic clock."""

    def __init__(self) -> None:
        self._failures = 0
        self._rest = _FIRST_REST
        self._rests_until: float | None = None
        self._on_trial = False

    def allows(self, now: float) -> bool:
        """Whether to call now. While a trial call is out, others wait for its outcome."""
        if self._rests_until is None:
            return True
        if now < self._rests_until:
            return False
        self._on_trial = True
        self._rests_until = now + self._rest
        return True

    @contextmanager
    def watching(self, clock: Clock) -> Iterator[None]:
        """Around one call that may go out: notes how it ended, and lets its error through."""
        try:
            yield
        except _ANSWERS:
            self.succeeded()
            raise
        except ServiceError:
            self.failed(clock.monotonic())
            raise
        self.succeeded()

    def succeeded(self) -> None:
        """The call came back."""
        if self._failures or self._rests_until is not None:
            self._reset()

    def _reset(self) -> None:
        self._failures, self._rest, self._rests_until, self._on_trial = 0, _FIRST_REST, None, False

    def failed(self, now: float) -> None:
        """The call did not come back. Those that went out before the rest began do not make it longer."""
        self._failures += 1
        if self._on_trial:
            self._on_trial = False
            self._rest = min(self._rest * 2, _LONGEST_REST)
            self._rests_until = now + self._rest
        elif self._rests_until is None and self._failures >= _FAILURES:
            self._rests_until = now + self._rest
