"""What is written down about a request when it is over: metrics and a row of the ledger, also for a shared answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis import call_context
from services.chassis.clock import Clock
from services.ledger.ledger import Book
from services.ledger.table import Row
from services.router.after import AfterAnswer
from services.router.ledger import Asked, Ended, request_row
from services.router.metrics import RouterMetrics
from services.router.peers import ProvidersPeer
from services.router.record import Tally

# A call that was given up is booked by the providers a moment later.
_ASK_AFTER_SECONDS = (0.05, 0.25, 1.0)
_TIMEOUT = 2.0


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
        after: AfterAnswer,
        clock: Clock,
        hash_key: bytes,
    ) -> None:
        self._ledger = ledger
        self._metrics = metrics
        self._providers = providers
        self._after = after
        self._clock = clock
        self._hash_key = hash_key

    def landed(self, ask: Asked, record: Tally, ended: Ended) -> None:
        """A journey is over. Where a call to a model was given up, what it cost is asked of the providers first."""
        if not (record.unsettled and self._after.add(lambda: self._settle(ask, record, ended))):
            self._keep(ask, record.decision, ended)

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
        try:
            for call_id in record.unsettled:
                record.attempted(await self._booked(call_id))
        finally:
            self._keep(ask, record.decision, ended)

    async def _booked(self, call_id: str) -> list[attempt_pb2.Attempt]:
        """The attempts of a call that was given up. Raises ServiceError."""
        for pause in _ASK_AFTER_SECONDS:
            await self._clock.sleep(pause)
            attempts = await self._providers.get_attempts(providers_pb.GetAttemptsRequest(call_id=call_id), _TIMEOUT)
            if attempts:
                return attempts
        return []


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
