"""Requests that were answered from the cache before, by the very bytes they came in.

What is known of such a request needs not be found out again: that it is valid, which task it is, which entry answers
it. Whether that entry still is the answer is asked of the cache each time, by its name alone; so an entry that was
forgotten, replaced or has become too old is never served from here, and nobody sees another tenant's.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis import call_context
from services.chassis.clock import Clock
from services.router.books import Books, Kept
from services.router.cache_step import CacheStep
from services.router.catalog import CatalogueKeeper
from services.router.policy import Policy
from services.router.policy_keeper import PolicyKeeper
from services.router.tasks.classify import last_user_text

# Larger ones are read in no time beside what they take to be kept.
_MOST_REQUEST_BYTES = 64 * 1024
# What an entry takes beside its bytes.
_OVERHEAD_BYTES = 2_000
_LEAST_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class _Hot:
    """One remembered request. `answer` is the response without what differs each time: its id and where time went."""

    look_up: cache_pb.LookUpRequest
    answer: bytes
    kept: Kept
    catalogue: str
    policies: Mapping[str, Policy]
    size: int


class _Asked(NamedTuple):
    """What the ledger says of the request."""

    tenant: str
    prompt: str


class HotAnswers:
    """The newest such requests, bounded by bytes.

    Forgotten with another catalogue, for prices may have changed, and with other policies: a name may mean another one.
    """

    def __init__(
        self,
        cache: CacheStep,
        books: Books,
        clock: Clock,
        catalogue: CatalogueKeeper,
        policies: PolicyKeeper,
        *,
        most_bytes: int,
    ) -> None:
        self._cache = cache
        self._books = books
        self._clock = clock
        self._catalogue = catalogue
        self._policies = policies
        self._most_bytes = most_bytes
        self._bytes = 0
        # Least recently used first.
        self._known: OrderedDict[tuple[str, bytes], _Hot] = OrderedDict()

    async def answer(self, data: bytes) -> bytes | None:
        """The response to a request that came in as these bytes; None: find out the long way."""
        call = call_context.current()
        key = (call.caller.tenant, data)
        hot = self._known.get(key)
        if hot is None:
            return None
        started = self._clock.monotonic()
        if call.deadline is not None and call.deadline - started < _LEAST_SECONDS:
            return None
        is_as_it_was = hot.catalogue == self._catalogue.current.version and hot.policies is self._policies.current
        if not is_as_it_was or not await self._cache.still(hot.look_up, started):
            self._forget(key)
            return None
        if key in self._known:  # it may have been pushed out meanwhile
            self._known.move_to_end(key)
        seconds = self._clock.monotonic() - started
        request_id = call.request_id or call_context.new_request_id()
        self._books.hit_again(hot.kept, request_id, call.trace_id, seconds)
        return hot.answer + _rest(request_id, seconds)

    def offer(self, data: bytes, request: pb.CompleteRequest, response: pb.CompleteResponse) -> None:
        """Remember the request, if the cache just answered it exactly and a repetition would be answered alike."""
        decision = response.decision
        size = 2 * len(data) + response.ByteSize() + _OVERHEAD_BYTES
        if (
            decision.cache.outcome != cache_pb.CACHE_OUTCOME_EXACT_HIT
            or decision.shared_with_request_id
            or decision.degradations
            or decision.HasField("split")  # another request may be drawn otherwise
            or request.options.request_id  # may be used once only, or means an earlier answer
            or len(data) > _MOST_REQUEST_BYTES
            or size > self._most_bytes
        ):
            return
        tenant = call_context.current().caller.tenant
        same = pb.CompleteResponse()
        same.CopyFrom(response)
        same.decision.ClearField("request_id")
        same.decision.ClearField("steps")
        look_up = cache_pb.LookUpRequest(known_entry_id=decision.cache.entry_id)
        if request.options.cache.ByteSize():
            look_up.control.CopyFrom(request.options.cache)
        kept = self._books.kept(_Asked(tenant, last_user_text(request.conversation)), same)
        self._forget((tenant, data))
        self._known[(tenant, data)] = _Hot(
            look_up, same.SerializeToString(), kept, self._catalogue.current.version, self._policies.current, size
        )
        self._bytes += size
        while self._bytes > self._most_bytes:
            self._forget(next(iter(self._known)))

    def _forget(self, key: tuple[str, bytes]) -> None:
        hot = self._known.pop(key, None)
        if hot is not None:
            self._bytes -= hot.size


# StepLatency.step
_LOOK_UP = b"\x0a\x07look_up"


def _rest(request_id: str, seconds: float) -> bytes:
    """The fields that differ each time: CompleteResponse.decision with its request_id and one step.

    Bytes of a message that follow others are merged into it, at any depth, so these go behind the rest.
    https://protobuf.dev/programming-guides/encoding/#last-one-wins
    """
    said = request_id.encode()
    nanos = _varint(min(int(seconds * 1e9), 999_999_999))
    latency = b"\x12" + _varint(len(nanos) + 1) + b"\x10" + nanos
    step = b"\x8a\x01" + _varint(len(_LOOK_UP) + len(latency)) + _LOOK_UP + latency
    decision = b"\x0a" + _varint(len(said)) + said + step
    return b"\x2a" + _varint(len(decision)) + decision


_ONE_BYTE = [bytes((value,)) for value in range(0x80)]


def _varint(value: int) -> bytes:
    """https://protobuf.dev/programming-guides/encoding/#varints"""
    if value < 0x80:
        return _ONE_BYTE[value]
    return bytes((value & 0x7F | 0x80,)) + _varint(value >> 7)
