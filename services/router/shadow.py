"""Checks cached answers off the callers' path: asks the model again, compares, and reports to the cache.

One at a time, in a bounded queue, with a budget of its own: what a check cost counts for a day. Full, or out of money:
the check is not made, and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextvars import copy_context

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb
from services.chassis import call_context
from services.chassis.clock import Clock
from services.chassis.errors import ServiceError
from services.chassis.logs import Log
from services.router.agreement import agreement
from services.router.metrics import RouterMetrics
from services.router.peers import CachePeer, ProvidersPeer

_MOST_WAITING = 64
_ASK_SECONDS, _REPORT_SECONDS = 60.0, 5.0
_DAY_SECONDS = 86_400.0


class Shadow:
    """The queue of checks. `budget_nanousd` is what they may cost within 24 hours; 0: none is made."""

    def __init__(
        self,
        *,
        cache: CachePeer,
        providers: ProvidersPeer,
        clock: Clock,
        metrics: RouterMetrics,
        log: Log,
        budget_nanousd: int,
    ) -> None:
        self._cache = cache
        self._providers = providers
        self._clock = clock
        self._metrics = metrics
        self._log = log
        self._budget = budget_nanousd
        # (when, nano-dollars), oldest first.
        self._spent: deque[tuple[float, int]] = deque()
        self._queue: asyncio.Queue[_Check] = asyncio.Queue(maxsize=_MOST_WAITING)
        self._worker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the worker."""
        self._worker = asyncio.create_task(self._work(), name="shadow")

    async def stop(self) -> None:
        """Drop what waits."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    def check(self, query: cache_pb.Query, served: cache_pb.LookUpResponse) -> None:
        """Have an answer checked that the cache asked to check, for the tenant that this task works for."""
        try:
            self._queue.put_nowait(_Check(query, served))
        except asyncio.QueueFull:
            self._metrics.shadow("queue_full")

    async def done(self) -> None:
        """When all that waits is checked."""
        await self._queue.join()

    async def _work(self) -> None:
        while True:
            check = await self._queue.get()
            try:
                await asyncio.get_running_loop().create_task(self._checked(check), context=check.context)
            except ServiceError as failure:
                self._metrics.shadow(failure.reason().lower())
            except Exception as failure:
                self._log.error("shadow_check_failed", failure)
            finally:
                self._queue.task_done()

    async def _checked(self, check: _Check) -> None:
        if self._left() <= 0:
            self._metrics.shadow("budget")
            return
        request = providers_pb.GenerateRequest()
        generation = request.generation
        generation.model = check.served.reply.model
        generation.conversation.CopyFrom(check.query.conversation)
        generation.request_id, generation.purpose = check.request_id, attempt_pb2.PURPOSE_SHADOW
        fresh = await self._providers.generate(request, _ASK_SECONDS)
        cost = sum(attempt.cost.nanousd for attempt in fresh.end.attempts)
        self._spent.append((self._clock.monotonic(), cost))
        verdict = cache_pb.ReportHitRequest.VERDICT_UNKNOWN
        if fresh.end.finish_reason == chat_pb2.FINISH_REASON_STOP:
            verdict = agreement(_text(check.served.reply.message), _text(fresh.message))
        report = cache_pb.ReportHitRequest(
            entry_id=check.served.entry_id,
            query=check.query,
            verdict=verdict,
            check_probability=check.served.check_probability,
        )
        await self._cache.report_hit(report, _REPORT_SECONDS)
        self._metrics.shadow(cache_pb.ReportHitRequest.Verdict.Name(verdict).removeprefix("VERDICT_").lower())

    def _left(self) -> int:
        """What may still be spent."""
        now = self._clock.monotonic()
        while self._spent and now - self._spent[0][0] > _DAY_SECONDS:
            self._spent.popleft()
        return self._budget - sum(cost for _, cost in self._spent)


class _Check:
    """One hit to check, and for whom."""

    __slots__ = ("context", "query", "request_id", "served")

    def __init__(self, query: cache_pb.Query, served: cache_pb.LookUpResponse) -> None:
        self.query = query
        self.served = served
        self.request_id = call_context.current().request_id or call_context.new_request_id()
        self.context = copy_context()
        # The caller's deadline is not the check's.
        self.context.run(call_context.enter, call_context.current().until(None))


def _text(message: chat_pb2.Message) -> str:
    return "\n".join(part.text for part in message.parts if part.HasField("text"))
