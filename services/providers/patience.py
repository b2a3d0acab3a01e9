"""How long an answer may take: until its first token, between its events, and in all. No I/O.

A limit per read lets a server that drips a byte now and then, or a comment, live for ever: bytes alone are no progress.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much. Seconds and bytes.

    A stream has `first_token` for the first piece of an answer, `idle` between two events, `total` in all. An answer
    that is no stream comes when the model is done: it has `whole`, and `idle` for pauses within.
    """

    connect: float
    first_token: float
    whole: float
    idle: float
    total: float
    most_bytes: int


class Patience:
    """The time that one answer has left, and what has run out when there is none."""

    def __init__(self, limits: Limits, now: float, *, stream: bool) -> None:
        self._idle = limits.idle
        self._ends = now + (limits.total if stream else limits.whole)
        self._first = now + limits.first_token if stream else self._ends
        self._first_cause = "first_token_timeout" if stream else "total_timeout"
        self._progress: float | None = None

    def ends(self) -> tuple[float, str]:
        """(when it must have made progress, the cause that its failure would have)."""
        over = min((self._first, self._first_cause), (self._ends, "total_timeout"))
        if self._progress is not None:
            over = min(over, (self._progress + self._idle, "idle_timeout"))
        return over

    def left(self, now: float) -> float:
        """Seconds until it must have made progress; 0 or less: it is over."""
        return self.ends()[0] - now

    def cause(self) -> str:
        """What runs out next."""
        return self.ends()[1]

    def begun(self, now: float) -> None:
        """The answer itself has begun."""
        self._first = self._ends
        self._first_cause = "total_timeout"
        self._progress = now

    def progressed(self, now: float) -> None:
        """An event came, with or without a piece of the answer."""
        self._progress = now
