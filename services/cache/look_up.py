"""The journey of a request through the cache, and of its answer back into it.

    LookUp:  check -> eligible? -> fingerprint -> exact table -> nearest by meaning -> lease -> answer
    Store:   check -> eligible, and the answer complete? -> fingerprint -> exact table -> vector -> written behind

Requests are never changed, and nothing that is handed out can change an entry: replies are kept serialised.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.chat.v1 import chat_pb2
from services.cache.check_request import check_invalidate, check_look_up, check_report, check_store, check_texts
from services.cache.collector import without_collector
from services.cache.eligibility import MOST_ENTRY_BYTES, Eligibility, eligibility
from services.cache.entry import Entry, Moment, lifetime
from services.cache.epochs import Epochs
from services.cache.exact import ExactTable
from services.cache.fingerprint import Asked, Fingerprint, fingerprint_of, is_behind, last_text, namespace_of
from services.cache.leases import Leased, Leases
from services.cache.metrics import CacheMetrics
from services.cache.places import NOWHERE
from services.cache.replicas import Keeper
from services.cache.selection import Selection, read, written
from services.cache.semantic_level import SemanticLevel
from services.cache.settings import LONGEST_TTL, CacheSettings
from services.cache.tally import Tally
from services.cache.vector_file import VectorFile
from services.chassis import call_context
from services.chassis.clock import Clock

_COMPLETE = (chat_pb2.FINISH_REASON_STOP, chat_pb2.FINISH_REASON_TOOL_CALLS)
_SWEPT_AT_ONCE, _SWEEP_SECONDS = 1_000, 1.0
_OUTCOMES = {
    "hit": pb.CACHE_OUTCOME_EXACT_HIT,
    "stale": pb.CACHE_OUTCOME_STALE,
    "miss": pb.CACHE_OUTCOME_MISS,
}


class Cache:
    """All answers of one process. The tenant is always the caller's."""

    def __init__(
        self,
        settings: CacheSettings,
        *,
        semantic: SemanticLevel,
        keeper: Keeper,
        vectors: VectorFile | None = None,
        metrics: CacheMetrics,
        clock: Clock,
    ) -> None:
        """`vectors`: where they outlast the process; None: nowhere."""
        self._settings = settings
        self._semantic = semantic
        self._keeper = keeper
        self._vectors = vectors
        semantic.tell(keeper.learned)
        self._metrics = metrics
        self._clock = clock
        self._tally = Tally()
        self._epochs = Epochs(settings.epoch)
        self._table = ExactTable(
            most_entries=settings.most_entries,
            most_bytes=settings.most_bytes,
            on_removed=self._removed,
            tenant_share=settings.tenant_share,
        )
        self._leases = Leases(settings.lease.total_seconds())
        metrics.watch(self._table, semantic, keeper)
        self._loading = asyncio.Lock()
        # What is not to be restored, as far as an earlier process or another replica heard of it.
        self._forgotten_before: list[tuple[str, Selection]] = []
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up what an earlier process kept."""
        settings = self._settings
        async with self._loading, without_collector():
            snapshot = None if self._vectors is None else await self._vectors.read()
            self._semantic.start(snapshot)
            bounds = {"most_entries": settings.most_entries, "most_bytes": settings.most_bytes}
            await self._keeper.start(self, **bounds, mark=snapshot.mark if snapshot else 0)
            self._forgotten_before.clear()
        self._semantic.take_up(self._table.place_of)
        self._sweeper = asyncio.create_task(self._sweep(), name="cache-sweep")

    async def ready(self) -> None:
        """When all that an earlier process kept is found again, by its meaning, too."""
        await self._semantic.ready()

    async def stop(self) -> None:
        """Write what is not written yet."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
        if self._vectors is not None:
            if mark := await self._keeper.mark():
                await self._vectors.save(self._semantic.snapshot(mark, self._table.name_at))
            self._vectors.close()
        await self._semantic.stop()
        await self._keeper.stop()

    def still(self, request: pb.LookUpRequest) -> pb.LookUpResponse:
        """Whether the entry that the caller names still is the answer."""
        check_look_up(request)
        tenant = call_context.current().caller.tenant
        return self._counted(request, tenant, self._still(request, tenant))

    async def look_up(self, request: pb.LookUpRequest) -> pb.LookUpResponse:
        """The answer that was kept for the request, or for one of the same meaning, or why there is none."""
        check_look_up(request)
        tenant = call_context.current().caller.tenant
        if request.control.no_cache:
            response = pb.LookUpResponse(outcome=pb.CACHE_OUTCOME_BYPASSED, reason=pb.CACHE_REASON_CALLER)
        elif (eligible := eligibility(request.query, request.control)).exact:
            response = await self._found(request, tenant, eligible)
        else:
            response = pb.LookUpResponse(outcome=pb.CACHE_OUTCOME_NOT_ELIGIBLE, reason=eligible.reason)
        return self._counted(request, tenant, response)

    async def store(self, request: pb.StoreRequest) -> pb.StoreResponse:
        """Keep the answer, or say why not."""
        check_store(request)
        response = await self._stored(request, call_context.current().caller.tenant)
        if response.stored:
            self._metrics.stored()
        else:
            self._metrics.refused(response.reason)
        return response

    def report(self, request: pb.ReportHitRequest) -> pb.ReportHitResponse:
        """Take up whether a hit was right."""
        check_report(request)
        tenant = call_context.current().caller.tenant
        asked = fingerprint_of(request.query, tenant=tenant, epoch=self._epochs.of(tenant))
        entry = self._table.named(request.entry_id, self._epochs.wall(tenant))
        self._metrics.reported(request.verdict)
        threshold = self._semantic.report(request, asked, namespace_of(request.query, tenant), entry)
        wrong = request.verdict == pb.ReportHitRequest.VERDICT_WRONG
        if wrong and entry is not None and entry.fingerprint == asked.fingerprint:
            # The very question's own answer is wrong: it is nobody's.
            selection = Selection(entry.entry_id, until=self._now().wall)
            self._table.forget(tenant, selection, now=self._now())
            self._keeper.learned("forgotten", written(tenant, selection), b"")
        return pb.ReportHitResponse(threshold=threshold)

    async def embed(self, request: pb.EmbedTextsRequest) -> pb.EmbedTextsResponse:
        """The vectors of texts. Raises Overloaded."""
        check_texts(request)
        return pb.EmbedTextsResponse(embeddings=[await self._semantic.embed(text) for text in request.texts])

    async def invalidate(self, request: pb.InvalidateRequest) -> pb.InvalidateResponse:
        """Forget what matches; when this returns, also on disk, as far as the disk can be written."""
        check_invalidate(request)
        tenant = call_context.current().caller.tenant
        now = self._now()
        async with self._loading:  # entries that are still being restored would come back
            selection = self._selection(request, tenant, now)
            if selection is None:
                return pb.InvalidateResponse(entries=0)
            entries = self._table.forget(tenant, selection, now=now, dry_run=request.dry_run)
        if not request.dry_run:
            if request.new_epoch:
                self._keeper.learned("epoch", tenant.encode(), self._epochs.begin(tenant, now.wall))
            else:
                self._keeper.learned("forgotten", written(tenant, selection), b"")
            await self._keeper.flush()
        return pb.InvalidateResponse(entries=entries)

    def _selection(self, request: pb.InvalidateRequest, tenant: str, now: Moment) -> Selection | None:
        """What the request means; None: nothing, for its scope is that of no entry."""
        scope = b""
        if request.scope_of_entry_id:
            entry = self._table.named(request.scope_of_entry_id, self._epochs.wall(tenant))
            if entry is None:
                return None
            scope = entry.asked().scope
        return Selection(request.entry_id, request.tag, request.model, scope, until=now.wall)

    def stats(self) -> pb.GetStatsResponse:
        """The caller's tenant in figures."""
        return self.stats_of(call_context.current().caller.tenant)

    def stats_of(self, tenant: str) -> pb.GetStatsResponse:
        """One tenant in figures."""
        entries, size = self._table.holding(tenant)
        counts = self._tally.of(tenant)
        return pb.GetStatsResponse(
            entries=entries,
            bytes=size,
            exact_hits=counts.exact_hits,
            semantic_hits=counts.semantic_hits,
            misses=counts.misses,
            not_eligible=counts.not_eligible,
            shared=self._keeper.shared,
        )

    async def _found(self, request: pb.LookUpRequest, tenant: str, eligible: Eligibility) -> pb.LookUpResponse:
        """What an eligible request finds."""
        asked = fingerprint_of(request.query, tenant=tenant, epoch=self._epochs.of(tenant))
        max_age = _seconds(request.control.max_age) if request.control.HasField("max_age") else None
        found = self._table.look_up(asked, now=self._now(), max_age=max_age, touch=not request.peek)
        if found.entry is not None:
            response = pb.LookUpResponse(
                outcome=pb.CACHE_OUTCOME_EXACT_HIT,
                entry_id=found.entry.entry_id,
                stored_at=_timestamp(found.entry.stored_at),
            )
            response.reply.MergeFromString(found.entry.reply)
            return response
        response = pb.LookUpResponse(outcome=_OUTCOMES[found.state], reason=eligible.reason)
        if eligible.semantic and self._settings.semantic and last_text(asked.canonical).strip():
            namespace = namespace_of(request.query, tenant)
            near = await self._semantic.look_up(request, asked, namespace, lambda place: self._live(place, max_age))
            if near.outcome == pb.CACHE_OUTCOME_SEMANTIC_HIT or found.state == "miss":
                response = near
        if request.want_lease and not request.peek and response.outcome != pb.CACHE_OUTCOME_SEMANTIC_HIT:
            await self._lease(request, response, asked)
        return response

    def _live(self, place: int, max_age: float | None) -> Entry | None:
        """The entry there, where it may be served."""
        entry, now = self._table.at(place), self._now()
        if entry is None or entry.is_over(now) or (max_age is not None and entry.age(now) > max_age):
            return None
        return entry

    async def _lease(self, request: pb.LookUpRequest, response: pb.LookUpResponse, asked: Asked) -> None:
        seconds, now = self._settings.lease.total_seconds(), self._clock.wall()
        led = await self._keeper.lead(asked.fingerprint, request.lease_holder, seconds)
        if led is None:  # no other replica has a say
            leased = self._leases.ask(asked.fingerprint, request.lease_holder, now)
        else:
            leased = Leased(leads=led[0], until=now + led[1])
        response.lease.grant = pb.Lease.GRANT_LEAD if leased.leads else pb.Lease.GRANT_WAIT
        response.lease.until.CopyFrom(_timestamp(leased.until))

    def _counted(self, request: pb.LookUpRequest, tenant: str, response: pb.LookUpResponse) -> pb.LookUpResponse:
        if not request.peek:
            self._tally.add(tenant, response.outcome)
            self._metrics.looked_up(response.outcome)
        return response

    async def _sweep(self) -> None:
        """Drop what is over and was not asked for since, a few at a time."""
        while True:
            await self._clock.sleep(_SWEEP_SECONDS)
            self._table.sweep(self._now(), _SWEPT_AT_ONCE)

    def _removed(self, place: int, entry: Entry, *, forgotten: bool) -> None:
        self._semantic.remove(place, entry)
        self._keeper.remove(entry.fingerprint, forgotten=forgotten)

    def kept_before(self, entries: list[Entry]) -> None:
        """An earlier process or another replica kept these, before this one began."""
        forgotten = self._forgotten_before
        for entry in entries:
            if not self._is_current(entry):
                continue
            if forgotten and any(entry.tenant == tenant and selection.takes(entry) for tenant, selection in forgotten):
                continue
            place = self._table.restore(entry)
            if place != NOWHERE and entry.vectors is not None:
                self._semantic.restore(place, entry)

    def kept_elsewhere(self, entry: Entry) -> None:
        """Another replica kept an entry."""
        if self._is_current(entry) and self._table.put(entry):
            self._semantic.restore(self._table.place_of(entry.fingerprint), entry)

    def forgotten_elsewhere(self, fingerprint: Fingerprint) -> None:
        """Another replica was told to forget an entry."""
        self._table.drop(fingerprint)

    def learned_elsewhere(self, kind: str, key: bytes, value: bytes) -> None:
        """Another replica, or an earlier process, learned something."""
        if kind == "epoch":
            tenant = key.decode(errors="replace")
            if self._epochs.take(tenant, value):
                self._table.forget(tenant, Selection(), now=self._now(), elsewhere=True)
        elif kind == "forgotten":
            with contextlib.suppress(ValueError):  # of a later release
                tenant, selection = read(key)
                if self._loading.locked():
                    self._forgotten_before.append((tenant, selection))
                self._table.forget(tenant, selection, now=self._now(), elsewhere=True)
        else:
            self._semantic.learned(kind, key, value)

    def _is_current(self, entry: Entry) -> bool:
        """Whether it is of its tenant's epoch."""
        return is_behind(self._epochs.wall(entry.tenant), entry.canonical)

    def _still(self, request: pb.LookUpRequest, tenant: str) -> pb.LookUpResponse:
        """Whether the answer that the caller has is still the answer. Its eligibility was seen when it was found."""
        max_age = None
        if request.HasField("control"):
            if request.control.no_cache:
                return pb.LookUpResponse(outcome=pb.CACHE_OUTCOME_BYPASSED, reason=pb.CACHE_REASON_CALLER)
            max_age = _seconds(request.control.max_age) if request.control.HasField("max_age") else None
        behind = self._epochs.wall(tenant)
        touch = not request.peek
        found = self._table.still(request.known_entry_id, behind, now=self._now(), max_age=max_age, touch=touch)
        return pb.LookUpResponse(outcome=_OUTCOMES[found.state])

    async def _stored(self, request: pb.StoreRequest, tenant: str) -> pb.StoreResponse:
        query, control = request.query, request.control
        eligible = eligibility(query, control)
        ttl, longest = self._ttl(control, eligible)
        asked = fingerprint_of(query, tenant=tenant, epoch=self._epochs.of(tenant))
        self._leases.end(asked.fingerprint)
        reason = _refusal(request, eligible, ttl)
        if reason != pb.CACHE_REASON_UNSPECIFIED:
            self._keeper.end_lead(asked.fingerprint)
            return pb.StoreResponse(reason=reason)
        now = self._now()
        entry = Entry(
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
        left_out = eligible.reason
        if request.reply.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS and eligible.semantic:
            left_out = pb.CACHE_REASON_TOOLS
        if left_out == pb.CACHE_REASON_UNSPECIFIED:
            await self._keep_vector(request, entry, asked)
        else:
            self._keeper.put(entry)
        return pb.StoreResponse(
            stored=True, reason=left_out, entry_id=entry.entry_id, expires_at=_timestamp(entry.expires_at)
        )

    async def _keep_vector(self, request: pb.StoreRequest, entry: Entry, asked: Asked) -> None:
        """Have the entry found by its meaning, too, and written."""
        vector = None
        if self._settings.semantic and last_text(asked.canonical).strip():
            vector = await self._semantic.vector_to_keep(request, asked)
        if self._table.get(entry.fingerprint) != entry:
            return  # forgotten or replaced meanwhile, and the newer change is written
        if vector is not None:
            self._semantic.put(self._table.place_of(entry.fingerprint), asked.scope, vector)
        self._keeper.put(entry if vector is None else entry._replace(vectors=self._semantic.packed(vector)))

    def _ttl(self, control: pb.CacheControl, eligible: Eligibility) -> tuple[float, float]:
        """How long the answer is to be kept, and the longest that its life may be after the jitter, in seconds."""
        longest = min(LONGEST_TTL, eligible.ttl_cap or timedelta.max).total_seconds()
        if control.HasField("ttl"):
            longest = min(longest, _seconds(control.ttl))
            return longest, longest
        return min(self._settings.default_ttl.total_seconds(), longest), longest

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
