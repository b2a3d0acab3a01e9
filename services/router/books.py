"""What is written down about a request when it is over: metrics and a row of the ledger, also for a shared answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis import call_context
from services.chassis.clock import Clock
from services.chassis.errors import ServiceError
from services.chassis.tasks import cancelled
from services.ledger.ledger import Book
from services.ledger.table import Row
from services.router.ledger import Asked, Ended, request_row
from services.router.metrics import RouterMetrics
from services.router.peers import ProvidersPeer
from services.router.record import Tally

# A call that was given up is booked by the providers a moment later.
_ASK_AFTER_SECONDS = (0.05, 0.25, 1.0)
_TIMEOUT = 2.0
# Requests whose cost is being asked for; more are kept without it.
_MOST_SETTLING = 1_024
# For those that are left at the stop.
_LAST_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Kept:
    """A request that comes again and again: its row but for the id and times, and how it is counted."""

    row: Row
    count: Callable[[float], None]


class Books:
    """Counts and keeps requests."""

    def __init__(
        self,
        ledger: Book,
        *,
        metrics: RouterMetrics,
        providers: ProvidersPeer,
        clock: Clock,
        hash_key: bytes,
    ) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._providers = providers
        self._clock = clock
        self._hash_key = hash_key
        self._settling: set[asyncio.Task[None]] = set()
        self._is_open = True

    async def stop(self) -> None:
        """Hear what calls cost that were given up, for two seconds; what nobody said by then is kept as unpriced."""
        self._is_open = False
        if self._settling:
            await asyncio.wait(self._settling, timeout=_LAST_SECONDS)
        await cancelled(self._settling)

    def landed(self, ask: Asked, record: Tally, ended: Ended) -> None:
        """A journey is over. Where a call to a model was given up, what it cost is asked of the providers first."""
        if not record.unsettled:
            self._keep(ask, record.decision, ended)
        elif self._is_open and len(self._settling) < _MOST_SETTLING:
            task = asyncio.create_task(self._settle(ask, record, ended), name="settle")
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)
        else:
            self._settled(ask, record, ended, unknown=True)

    def joined(self, ask: Asked, decision: decision_pb2.Decision, ended: Ended) -> None:
        """A request is over that shared the answer of another one: it took no tokens and cost nothing."""
        self._ledger.add(request_row(decision, ended, ask, call_context.current().trace_id, self._hash_key))

    def kept(self, asked: Asked, response: pb.CompleteResponse) -> Kept:
        """What hit_again() needs of a request whose answer comes from the cache again and again."""
        decision = response.decision
        ended = Ended(0.0, 0.0, response.finish_reason)
        row = request_row(decision, ended, asked, "", self._hash_key)
        return Kept(row, self._metrics.hit_again(decision))

    def hit_again(self, kept: Kept, request_id: str, trace_id: str, seconds: float) -> None:
        """The cache answered such a request once more; it took `seconds`."""
        kept.count(seconds)
        milliseconds = round(seconds * 1000, 3)
        at = int((self._clock.wall() - seconds) * 1000)
        self._ledger.add((at, request_id, trace_id, *kept.row[3:-2], milliseconds, milliseconds))

    def _keep(self, ask: Asked, decision: decision_pb2.Decision, ended: Ended) -> None:
        self._metrics.count(decision, ended.error, ended.first_token)
        self._ledger.add(request_row(decision, ended, ask, call_context.current().trace_id, self._hash_key))

    async def _settle(self, ask: Asked, record: Tally, ended: Ended) -> None:
        call_context.enter(call_context.current().until(None))  # the request's own may be over
        unknown = True
        try:
            every = [await self._booked(call_id, record.started) for call_id in record.unsettled]
            unknown = any(attempts is None for attempts in every)
            before = record.decision.cost.nanousd
            for attempts in every:
                record.attempted(attempts or ())
            savings = record.decision.savings
            if savings.reference_model:
                savings.routing_nanousd -= record.decision.cost.nanousd - before
        finally:
            self._settled(ask, record, ended, unknown=unknown)

    def _settled(self, ask: Asked, record: Tally, ended: Ended, *, unknown: bool) -> None:
        """Keep it. A call of unknown cost is not one that cost nothing."""
        decision = record.decision
        decision.cost.priced = not unknown and all(attempt.cost.priced for attempt in decision.attempts)
        self._keep(ask, decision, ended)

    async def _booked(self, call_id: str, since: float) -> Sequence[attempt_pb2.Attempt] | None:
        """The attempts of a call that was given up, made after `since`; None: nobody says."""
        asked = providers_pb.GetAttemptsRequest(call_id=call_id)
        said: Sequence[attempt_pb2.Attempt] = ()
        for pause in _ASK_AFTER_SECONDS:
            await self._clock.sleep(pause)
            asked.age.FromTimedelta(timedelta(seconds=self._clock.monotonic() - since))
            try:
                response = await self._providers.get_attempts(asked, _TIMEOUT)
            except ServiceError:
                continue
            said = response.attempts
            if response.over:
                return said
        return said or None  # an older release does not say that it is over


def ended_with(
    clock: Clock,
    started: float,
    finish: chat_pb2.FinishReason.ValueType,
    error: str = "",
    first_delta_at: float | None = None,
) -> Ended:
    """How a request ended, now. `started` and `first_delta_at` are on the monotonic clock."""
    seconds = clock.monotonic() - started
    first_token = None if first_delta_at is None else first_delta_at - started
    return Ended(clock.wall() - seconds, seconds, finish, error, first_token)
