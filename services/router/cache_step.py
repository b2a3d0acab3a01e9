"""Look up before, store after: the router's side of the cache. Its failures degrade an answer, and never fail it."""

from __future__ import annotations

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from services.chassis import call_context
from services.chassis.clock import Clock
from services.chassis.errors import DeadlineExceeded, InvalidRequest, ServiceError
from services.router.admit import Ask, remembers
from services.router.guard import Guard
from services.router.learning.hit_checks import HitChecks
from services.router.peers import CachePeer
from services.router.record import Record

_HITS = (cache_pb.CACHE_OUTCOME_EXACT_HIT, cache_pb.CACHE_OUTCOME_SEMANTIC_HIT)
_STORE_TIMEOUT = 5.0
# While another router asks the model. The cache says when that router's time is over.
_LOOK_AGAIN_SECONDS = 0.03


class CacheStep:
    """Asks the cache, unless it rests after failures."""

    def __init__(
        self, peer: CachePeer, guard: Guard, clock: Clock, *, timeout: float, checks: HitChecks | None = None
    ) -> None:
        self._peer = peer
        self._guard = guard
        self._clock = clock
        self._timeout = timeout
        self._checks = checks
        # Who we are among the routers that share a cache.
        self._holder = call_context.new_request_id()

    async def look_up(
        self, ask: Ask, record: Record, *, simulated: bool, peek: bool, want_vector: bool = False
    ) -> cache_pb.CachedReply | None:
        """The cached answer, or None. What the cache said goes into the record, on a miss the vector, too."""
        if not self._guard.allows(self._clock.monotonic()):
            self._unavailable(record)
            return None
        request = cache_pb.LookUpRequest(peek=peek, want_embedding=want_vector)
        if ask.shareable and not peek:
            request.want_lease, request.lease_holder = True, self._holder
        _fill(request.query, ask, simulated=simulated)
        if ask.options.HasField("cache"):
            request.control.CopyFrom(ask.control)
        with record.step("look_up"):
            try:
                with self._guard.watching(self._clock):
                    response = await self._asked(request)
                    while response.lease.grant == cache_pb.Lease.GRANT_WAIT:
                        await self._clock.sleep(_LOOK_AGAIN_SECONDS)
                        response = await self._asked(request)
            except InvalidRequest:
                raise
            except ServiceError:
                self._unavailable(record)
                return None
        record.looked_up(response)
        if response.outcome not in _HITS:
            return None
        if response.check_probability and self._checks is not None:
            self._checks.check(request.query, response)
        return response.reply

    async def _asked(self, request: cache_pb.LookUpRequest) -> cache_pb.LookUpResponse:
        """What the cache says. Where a lease is at stake, asked once more before its silence counts: both may have just
        started, and going without costs a second call to the model. Raises ServiceError.
        """
        try:
            return await self._peer.look_up(request, self._timeout)
        except DeadlineExceeded:
            if not request.want_lease:
                raise
        return await self._peer.look_up(request, self._timeout)

    async def still(self, request: cache_pb.LookUpRequest, now: float) -> bool:
        """Whether the entry that the request knows is still the answer; false also where the cache does not say."""
        if not self._guard.allows(now):
            return False
        try:
            response = await self._peer.look_up(request, self._timeout)
        except ServiceError:
            self._guard.failed(self._clock.monotonic())
            return False
        self._guard.succeeded()
        return response.outcome == cache_pb.CACHE_OUTCOME_EXACT_HIT

    async def store(self, ask: Ask, reply: cache_pb.CachedReply, *, simulated: bool) -> None:
        """Keep a complete answer, where its kind is kept. Raises ServiceError."""
        if ask.control.no_store or not self._guard.allows(self._clock.monotonic()):
            return
        request = cache_pb.StoreRequest(reply=reply)
        _fill(request.query, ask, simulated=simulated)
        if ask.options.HasField("cache"):
            request.control.CopyFrom(ask.control)
        with self._guard.watching(self._clock):
            await self._peer.store(request, _STORE_TIMEOUT)

    async def give_up(self, ask: Ask, *, simulated: bool) -> None:
        """No answer will come: another router need not wait for it. Raises ServiceError."""
        if not ask.shareable or not self._guard.allows(self._clock.monotonic()):
            return
        request = cache_pb.StoreRequest()
        _fill(request.query, ask, simulated=simulated)
        request.reply.finish_reason, request.reply.model = chat_pb2.FINISH_REASON_ERROR, "none"
        request.reply.usage.SetInParent()
        request.reply.cost.SetInParent()
        with self._guard.watching(self._clock):
            await self._peer.store(request, _STORE_TIMEOUT)

    def _unavailable(self, record: Record) -> None:
        record.decision.cache.outcome = cache_pb.CACHE_OUTCOME_UNAVAILABLE
        record.degraded(chat_pb2.Degradation.KIND_CACHE_UNAVAILABLE, "cache")


def _fill(query: cache_pb.Query, ask: Ask, *, simulated: bool) -> None:
    """Written in place: the conversation is copied once."""
    query.conversation.CopyFrom(ask.conversation)
    query.model, query.policy_hash, query.task_hint = ask.model, ask.policy_hash, ask.options.task_hint
    query.simulated = simulated
    query.uses_memory = remembers(ask.options)
    if ask.options.region_tags:
        query.region_tags.extend(sorted(ask.options.region_tags))
