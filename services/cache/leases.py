"""Which router may ask the model for a request that several ask at once. No I/O, no clock of its own.

nobody leads                  the asker leads until now + seconds
the asker itself leads        it goes on
another one leads             wait until the lease ends, then ask again
the answer is stored          nobody leads
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from services.cache.fingerprint import Fingerprint

_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Leased:
    """Who leads, and until when, on the clock of the asker."""

    leads: bool
    until: float


class Leases:
    """The leases of one cache process; beyond 10,000 the oldest ends early."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        # Oldest first.
        self._leases: OrderedDict[Fingerprint, tuple[str, float]] = OrderedDict()

    def ask(self, fingerprint: Fingerprint, holder: str, now: float) -> Leased:
        """Ask to lead."""
        while self._leases and next(iter(self._leases.values()))[1] <= now:
            self._leases.popitem(last=False)
        leader, until = self._leases.get(fingerprint, ("", 0.0))
        if until > now:
            return Leased(bool(holder) and leader == holder, until)
        self._leases.pop(fingerprint, None)
        self._leases[fingerprint] = (holder, now + self._seconds)
        if len(self._leases) > _MOST:
            self._leases.popitem(last=False)
        return Leased(leads=True, until=now + self._seconds)

    def end(self, fingerprint: Fingerprint) -> None:
        """The answer is there, or will not come."""
        self._leases.pop(fingerprint, None)
