"""The wiring of the context service; no logic."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from omnisphere.context.v1 import context_service_pb2 as pb
from omnisphere.context.v1 import context_service_pb2_grpc as rpc
from services.chassis.executor import Executor
from services.chassis.logs import Log
from services.chassis.server import Service, Servicer
from services.context.counting import Counting
from services.context.fit import Fitter
from services.context.memo import Memo
from services.context.metrics import ContextMetrics
from services.context.ranks import O200K, Encodings
from services.context.service import ContextService
from services.context.settings import ContextSettings
from services.context.tokens import TokenCounter


def build(settings: ContextSettings, log: Log, registry: CollectorRegistry) -> Service:
    """The service, not started."""
    encodings = Encodings()
    executor = Executor(threads=settings.threads, waiting=settings.waiting)
    metrics = ContextMetrics(registry)
    counter = TokenCounter(encodings, Memo(settings.memo_messages))
    counting = Counting(counter, executor, metrics, inline_bytes=settings.inline_bytes)
    warm_up = _WarmUp(encodings, executor, log)
    return Service(
        name="context",
        servicers=(
            Servicer(
                pb.DESCRIPTOR.services_by_name["ContextService"].full_name,
                ContextService(Fitter(counting, metrics), counting),
                rpc.add_ContextServiceServicer_to_server,
            ),
        ),
        start=warm_up.start,
        stop=warm_up.stop,
        conversation_methods=frozenset({"Fit", "CountTokens"}),
    )


class _WarmUp:
    """Loads the usual encoding behind readiness: calls that come earlier wait for it, in a thread."""

    def __init__(self, encodings: Encodings, executor: Executor, log: Log) -> None:
        self._encodings = encodings
        self._executor = executor
        self._log = log
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._load(), name="context-warm-up")

    async def stop(self) -> None:
        if self._task is not None:
            await self._task
        self._executor.close()

    async def _load(self) -> None:
        try:
            await self._executor.run(self._encodings.get, O200K)
        except Exception as failure:
            # Not fatal: the next call meets the same, and its caller is told.
            self._log.error("warm_up_failed", failure)
