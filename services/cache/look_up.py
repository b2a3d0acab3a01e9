"""The journey of a request through the cache, and of its answer back into it.

    LookUp:  check -> eligible? -> fingerprint -> exact table -> answer
    Store:   check -> eligible, and the answer complete? -> fingerprint -> exact table -> written behind

Requests are never changed, and nothing that is handed out can change an entry: replies are kept serialised.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import lru_cache

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.chat.v1 import chat_pb2
from services.cache.check_request import check_invalidate, check_look_up, check_store
from services.cache.eligibility import MOST_ENTRY_BYTES, Eligibility, eligibility
from services.cache.entry import Entry, Moment, entry_id, lifetime
from services.cache.exact import ExactTable, Selection
from services.cache.fingerprint import fingerprint_of, wall
from services.cache.metrics import CacheMetrics
from services.cache.settings import LONGEST_TTL, CacheSettings
from services.cache.tally import Tally
from services.cache.write_behind import WriteBehind
from services.chassis import call_context
from services.chassis.clock import Clock

_COMPLETE = (chat_pb2.FINISH_REASON_STOP, chat_pb2.FINISH_REASON_TOOL_CALLS)
# Entries that are restored in one go, so that health is answered meanwhile.
_RESTORED_AT_ONCE = 1_000
_MOST_WALLS = 1_024
_OUTCOMES = {
    "hit": pb.CACHE_OUTCOME_EXACT_HIT,
    "stale": pb.CACHE_OUTCOME_STALE,
    "miss": pb.CACHE_OUTCOME_MISS,
}


class Cache:
    """All answers of one process. The tenant is always the caller's."""

    def __init__(self, settings: CacheSettings, *, writes: WriteBehind, metrics: CacheMetrics, clock: Clock) -> None:
        self._settings = settings
        self._writes = writes
        self._metrics = metrics
        self._clock = clock
        self._tally = Tally()
        self._table = ExactTable(
            most_entries=settings.most_entries, most_bytes=settings.most_bytes, on_removed=writes.remove
        )
        metrics.watch(self._table)
        self._wall = lru_cache(maxsize=_MOST_WALLS)(wall)
        self._loading = asyncio.Lock()

    async def start(self) -> None:
        """Take up what an earlier process kept."""
        settings = self._settings
        async with self._loading:
            kept = await self._writes.start(most_entries=settings.most_entries, most_bytes=settings.most_bytes)
            # Oldest first: the newest are then the most recently used.
            for number, entry in enumerate(reversed(kept)):
                self._table.restore(entry)
                if number % _RESTORED_AT_ONCE == 0:
                    await asyncio.sleep(0)

    async def stop(self) -> None:
        """Write what is not written yet."""
        await self._writes.stop()

    def look_up(self, request: pb.LookUpRequest) -> pb.LookUpResponse:
        """The answer that was kept for the request, or why there is none."""
        check_look_up(request)
        tenant = call_context.current().caller.tenant
        response = self._still(request, tenant) if request.known_entry_id else self._found(request, tenant)
        if not request.peek:
            self._tally.add(tenant, response.outcome)
            self._metrics.looked_up(response.outcome)
        return response

    def store(self, request: pb.StoreRequest) -> pb.StoreResponse:
        """Keep the answer, or say why not."""
        check_store(request)
        response = self._stored(request, call_context.current().caller.tenant)
        if response.stored:
            self._metrics.stored()
        else:
            self._metrics.refused(response.reason)
        return response

    async def invalidate(self, request: pb.InvalidateRequest) -> pb.InvalidateResponse:
        """Forget what matches; when this returns, also on disk, as far as the disk can be written."""
        check_invalidate(request)
        tenant = call_context.current().caller.tenant
        selection = Selection(entry_id=request.entry_id, tag=request.tag, model=request.model)
        async with self._loading:  # entries that are still being restored would come back
            entries = self._table.forget(tenant, selection, now=self._now(), dry_run=request.dry_run)
        if entries and not request.dry_run:
            await self._writes.flush()
        return pb.InvalidateResponse(entries=entries)

    def stats(self) -> pb.GetStatsResponse:
        """The caller's tenant in figures."""
        tenant = call_context.current().caller.tenant
        entries, size = self._table.holding(tenant)
        counts = self._tally.of(tenant)
        return pb.GetStatsResponse(
            entries=entries,
            bytes=size,
            exact_hits=counts.exact_hits,
            misses=counts.misses,
            not_eligible=counts.not_eligible,
        )

    def _found(self, request: pb.LookUpRequest, tenant: str) -> pb.LookUpResponse:
        query, control = request.query, request.control
        if control.no_cache:
            return pb.LookUpResponse(outcome=pb.CACHE_OUTCOME_BYPASSED, reason=pb.CACHE_REASON_CALLER)
        eligible = eligibility(query, control)
        if not eligible.exact:
            return pb.LookUpResponse(outcome=pb.CACHE_OUTCOME_NOT_ELIGIBLE, reason=eligible.reason)
        asked = fingerprint_of(query, tenant=tenant, epoch=self._settings.epoch)
        max_age = _seconds(control.max_age) if control.HasField("max_age") else None
        found = self._table.look_up(asked, now=self._now(), max_age=max_age, touch=not request.peek)
        if found.entry is None:
            return pb.LookUpResponse(outcome=_OUTCOMES[found.state], reason=eligible.reason)
        response = pb.LookUpResponse(
            outcome=pb.CACHE_OUTCOME_EXACT_HIT,
            entry_id=found.entry.entry_id,
            stored_at=_timestamp(found.entry.stored_at),
        )
        response.reply.MergeFromString(found.entry.reply)
        return response

    def _still(self, request: pb.LookUpRequest, tenant: str) -> pb.LookUpResponse:
        """Whether the answer that the caller has is still the answer. Its eligibility was seen when it was found."""
        max_age = None
        if request.HasField("control"):
            if request.control.no_cache:
                return pb.LookUpResponse(outcome=pb.CACHE_OUTCOME_BYPASSED, reason=pb.CACHE_REASON_CALLER)
            max_age = _seconds(request.control.max_age) if request.control.HasField("max_age") else None
        wall = self._wall(tenant, self._settings.epoch)
        touch = not request.peek
        found = self._table.still(request.known_entry_id, wall, now=self._now(), max_age=max_age, touch=touch)
        return pb.LookUpResponse(outcome=_OUTCOMES[found.state])

    def _stored(self, request: pb.StoreRequest, tenant: str) -> pb.StoreResponse:
        query, control = request.query, request.control
        eligible = eligibility(query, control)
        ttl, longest = self._ttl(control, eligible)
        reason = _refusal(request, eligible, ttl)
        if reason != pb.CACHE_REASON_UNSPECIFIED:
            return pb.StoreResponse(reason=reason)
        asked = fingerprint_of(query, tenant=tenant, epoch=self._settings.epoch)
        now = self._now()
        entry = Entry(
            entry_id=entry_id(asked.fingerprint, now.wall),
            tenant=tenant,
            fingerprint=asked.fingerprint,
            canonical=asked.canonical,
            reply=request.reply.SerializeToString(deterministic=True),
            model=request.reply.model,
            tags=tuple(control.tags),
            stored_at=now.wall,
            expires_at=now.wall + lifetime(ttl, asked.fingerprint, longest=longest),
            age_zero=now.monotonic,
        )
        if len(entry.canonical) + len(entry.reply) > MOST_ENTRY_BYTES or not self._table.put(entry):
            return pb.StoreResponse(reason=pb.CACHE_REASON_TOO_LARGE)
        self._writes.put(entry)
        left_out = eligible.reason
        if request.reply.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS and eligible.semantic:
            left_out = pb.CACHE_REASON_TOOLS
        return pb.StoreResponse(
            stored=True, reason=left_out, entry_id=entry.entry_id, expires_at=_timestamp(entry.expires_at)
        )

    def _ttl(self, control: pb.CacheControl, eligible: Eligibility) -> tuple[float, float]:
        """How long the answer is to be kept, and the longest that its life may be after the jitter, in seconds."""
        longest = min(LONGEST_TTL, eligible.ttl_cap or timedelta.max).total_seconds()
        wanted = _seconds(control.ttl) if control.HasField("ttl") else self._settings.default_ttl.total_seconds()
        return min(wanted, longest), longest

    def _now(self) -> Moment:
        return Moment(self._clock.wall(), self._clock.monotonic())


def _refusal(request: pb.StoreRequest, eligible: Eligibility, ttl: float) -> pb.CacheReason.ValueType:
    """Why the answer is not kept; UNSPECIFIED where it may be."""
    if request.control.no_store or ttl <= 0:
        return pb.CACHE_REASON_CALLER
    if not eligible.exact:
        return eligible.reason
    # A part without content says nothing; it stands for one that a later release knows.
    parts = request.reply.message.parts
    if request.reply.finish_reason not in _COMPLETE or not any(part.WhichOneof("content") for part in parts):
        return pb.CACHE_REASON_INCOMPLETE
    return pb.CACHE_REASON_UNSPECIFIED


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9


def _timestamp(seconds: float) -> Timestamp:
    whole = int(seconds)
    return Timestamp(seconds=whole, nanos=int((seconds - whole) * 1e9))
