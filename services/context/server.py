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
from services.context.cut import Cutter
from services.context.fit import Fitter
from services.context.known import Known
from services.context.memo import Memo
from services.context.metrics import ContextMetrics
from services.context.ranks import O200K, Encodings
from services.context.service import ContextService
from services.context.settings import ContextSettings
from services.context.tokens import TokenCounter
from services.context.vectors import Background, Vectors
from services.embedding.onnx_minilm import OnnxMiniLM


def build(settings: ContextSettings, log: Log, registry: CollectorRegistry) -> Service:
    """The service, not started."""
    encodings = Encodings()
    executor = Executor(threads=settings.threads, waiting=settings.waiting)
    metrics = ContextMetrics(registry)
    counter = TokenCounter(encodings, Memo(settings.memo_messages))
    counting = Counting(counter, executor, metrics, inline_bytes=settings.inline_bytes)
    vectors = Vectors(OnnxMiniLM, most=settings.vectors)
    background = Background(vectors, log, waiting=settings.waiting_vectors)
    cutter = Cutter(counter, Known(settings.conversations), vectors)
    warm_up = _WarmUp(encodings, vectors, executor, log)

    async def start() -> None:
        background.start()
        await warm_up.start()

    async def stop() -> None:
        await background.stop()
        await warm_up.stop()

    return Service(
        name="context",
        servicers=(
            Servicer(
                pb.DESCRIPTOR.services_by_name["ContextService"].full_name,
                ContextService(Fitter(counting, cutter, background, metrics), counting),
                rpc.add_ContextServiceServicer_to_server,
            ),
        ),
        start=start,
        stop=stop,
        conversation_methods=frozenset({"Fit", "CountTokens"}),
    )


class _WarmUp:
    """Loads the usual encoding and the embedder behind readiness: calls that come earlier wait, in a thread."""

    def __init__(self, encodings: Encodings, vectors: Vectors, executor: Executor, log: Log) -> None:
        self._encodings = encodings
        self._vectors = vectors
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
            if await self._executor.run(self._vectors.embedder) is None:
                self._log.warning("embedder_damaged")
        except Exception as failure:
            # Not fatal: the next call meets the same, and its caller is told.
            self._log.error("warm_up_failed", failure)
