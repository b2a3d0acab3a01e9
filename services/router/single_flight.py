"""One call for requests that are the same: by content while it is on its way, by request id for ten minutes.

Memory is bounded: of finished flights those that ended first are forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta

from services.chassis.errors import InvalidRequest
from services.router.admit import Ask
from services.router.flight import Flight

_Key = tuple[str, str]
_MOST_REMEMBERED = 10_000


class Flights:
    """The flights that can be joined."""

    def __init__(self, *, remember_for: timedelta, most_bytes: int) -> None:
        self._remember = remember_for.total_seconds()
        self._most_bytes = most_bytes
        self._bytes = 0
        self._by_content: dict[bytes, Flight] = {}
        self._by_request: OrderedDict[_Key, Flight] = OrderedDict()
        # The ids of a flight that has not landed: the leader's, and those of requests that joined by content.
        self._keys: dict[Flight, list[_Key]] = {}
        self._sizes: dict[_Key, int] = {}

    def find(self, ask: Ask, now: float) -> Flight | None:
        """A flight that answers this request, or None. Raises InvalidRequest for an id that meant something else."""
        self._forget_old(now)
        if ask.repeatable:
            same_id = self._by_request.get((ask.tenant, ask.request_id))
            if same_id is not None and same_id.content != ask.content:
                raise InvalidRequest(field="options.request_id", problem="was used for another request")
            if same_id is not None and same_id.error is None and (same_id.running or same_id.ended_at is not None):
                return same_id
        found = self._by_content.get(ask.content) if ask.shareable else None
        return found if found is not None and found.running else None

    def add(self, ask: Ask, flight: Flight) -> None:
        """A new flight: joinable by id, and by content where that may be shared."""
        self.join(ask, flight)
        if ask.shareable:
            self._by_content[ask.content] = flight

    def join(self, ask: Ask, flight: Flight) -> None:
        """The request follows a flight that find() or add() gave it: its id now stands for this flight's answer."""
        key = (ask.tenant, ask.request_id)
        if ask.repeatable and self._by_request.get(key) is not flight:
            self._by_request[key] = flight
            self._keys.setdefault(flight, []).append(key)

    def landed(self, ask: Ask, flight: Flight) -> None:
        """The flight ended: no more joining by content; by id only a success is kept."""
        if self._by_content.get(ask.content) is flight:
            del self._by_content[ask.content]
        keys = [key for key in self._keys.pop(flight, ()) if self._by_request.get(key) is flight]
        if flight.ended_at is None or flight.error is not None:
            for key in keys:
                del self._by_request[key]
            return
        size = flight.pack() if keys else 0
        for key in keys:
            self._by_request.move_to_end(key)
            self._sizes[key] = -(-size // len(keys))
            self._bytes += self._sizes[key]
        while self._bytes > self._most_bytes or len(self._sizes) > _MOST_REMEMBERED:
            self._forget(next(iter(self._sizes)))

    def _forget_old(self, now: float) -> None:
        while self._sizes:
            key = next(iter(self._sizes))
            ended = self._by_request[key].ended_at
            if ended is not None and now - ended < self._remember:
                return
            self._forget(key)

    def _forget(self, key: _Key) -> None:
        self._bytes -= self._sizes.pop(key)
        self._by_request.pop(key, None)
