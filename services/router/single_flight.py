"""One call for requests that are the same: by content while it is on its way, by request id for ten minutes.

Memory is bounded: of finished flights those that ended first are forgotten first.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import InvalidRequest
from services.router.admit import Ask
from services.router.flight import Flight

_MOST_REMEMBERED = 10_000
# Above it answers are meant to differ, so everybody gets one of their own.
SHARED_TEMPERATURE = 0.3


def shareable(conversation: chat_pb2.Conversation, options: pb.RequestOptions) -> bool:
    """Whether requests with the same content may share one answer."""
    sampling = conversation.sampling
    sampled = sampling.HasField("temperature") and sampling.temperature > SHARED_TEMPERATURE
    control = options.cache
    if control.no_cache or control.no_store:
        return False
    return not sampled or control.allow_sampled


class Flights:
    """The flights that can be joined."""

    def __init__(self, *, remember_for: timedelta, most_bytes: int) -> None:
        self._remember = remember_for.total_seconds()
        self._most_bytes = most_bytes
        self._bytes = 0
        self._by_content: dict[bytes, Flight] = {}
        self._by_request: OrderedDict[tuple[str, str], Flight] = OrderedDict()
        self._sizes: dict[tuple[str, str], int] = {}

    def find(self, ask: Ask, now: float) -> Flight | None:
        """A flight that answers this request, or None. Raises InvalidRequest for an id that meant something else."""
        self._forget_old(now)
        if ask.repeatable:
            same_id = self._by_request.get((ask.tenant, ask.request_id))
            if same_id is not None and same_id.content != ask.content:
                raise InvalidRequest(field="options.request_id", problem="was used for another request")
            if same_id is not None and same_id.error is None:
                return same_id
        found = self._by_content.get(ask.content)
        return found if found is not None and found.running else None

    def add(self, ask: Ask, flight: Flight) -> None:
        """A new flight: joinable by id, and by content where that may be shared."""
        if ask.repeatable:
            self._by_request[(ask.tenant, ask.request_id)] = flight
        if shareable(ask.conversation, ask.options):
            self._by_content[ask.content] = flight

    def landed(self, ask: Ask, flight: Flight) -> None:
        """The flight ended: no more joining by content; by id only a success is kept."""
        if self._by_content.get(ask.content) is flight:
            del self._by_content[ask.content]
        key = (ask.tenant, ask.request_id)
        if self._by_request.get(key) is not flight:
            return
        if flight.ended_at is None or flight.error is not None:
            del self._by_request[key]
            return
        self._by_request.move_to_end(key)
        self._sizes[key] = flight.size
        self._bytes += flight.size
        while self._bytes > self._most_bytes or len(self._sizes) > _MOST_REMEMBERED:
            self._forget(next(iter(self._sizes)))

    def _forget_old(self, now: float) -> None:
        while self._sizes:
            key = next(iter(self._sizes))
            ended = self._by_request[key].ended_at
            if ended is not None and now - ended < self._remember:
                return
            self._forget(key)

    def _forget(self, key: tuple[str, str]) -> None:
        self._bytes -= self._sizes.pop(key)
        self._by_request.pop(key, None)
