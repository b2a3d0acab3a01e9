"""The wiring of the context service; no logic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from omnisphere.context.v1 import context_service_pb2 as pb
from omnisphere.context.v1 import context_service_pb2_grpc as rpc
from services.chassis.clock import SystemClock
from services.chassis.executor import Executor
from services.chassis.logs import Log
from services.chassis.server import Service, Servicer
from services.context.calibrations import Calibrations
from services.context.counting import Counting
from services.context.cut import Cutter
from services.context.cut_turns import CutTurns
from services.context.fit import Fitter
from services.context.known import Known
from services.context.memo import Memo
from services.context.memory import Memory
from services.context.metrics import ContextMetrics
from services.context.ranks import O200K, Encodings
from services.context.service import ContextService
from services.context.settings import ContextSettings
from services.context.store import Store
from services.context.tokens import TokenCounter
from services.context.vectors import Background, Vectors
from services.embedding.embedder import Embedder
from services.embedding.onnx_minilm import OnnxMiniLM


@dataclass(frozen=True, slots=True)
class Parts:
    """The objects behind the service."""

    executor: Executor
    store: Store
    encodings: Encodings
    calibrations: Calibrations
    counter: TokenCounter
    counting: Counting
    vectors: Vectors
    background: Background
    memory: Memory
    cut_turns: CutTurns
    fitter: Fitter

    async def close(self) -> None:
        """Write what waits; end the threads; let go of the file."""
        await self.background.stop()
        await self.cut_turns.stop()
        self.executor.close()
        self.store.close()


def assemble(
    settings: ContextSettings, log: Log, registry: CollectorRegistry, load: Callable[[], Embedder] = OnnxMiniLM
) -> Parts:
    """The objects, not started. `load` makes the embedder."""
    clock, metrics, encodings = SystemClock(), ContextMetrics(registry), Encodings()
    executor = Executor(threads=settings.threads, waiting=settings.waiting)
    store = Store(settings.store_file())
    calibrations = Calibrations(store)
    counter = TokenCounter(encodings, Memo(settings.memo_messages), calibrations)
    counting = Counting(counter, executor, metrics, inline_bytes=settings.inline_bytes)
    vectors = Vectors(load, most=settings.vectors)
    background = Background(vectors, log, waiting=settings.waiting_vectors)
    memory = Memory(store, executor, vectors, background, clock)
    cut_turns = CutTurns(store, executor, clock, log)
    fitter = Fitter(
        counting,
        Cutter(counter, Known(settings.conversations), vectors),
        background,
        metrics,
        counter=counter,
        memory=memory,
        cut_turns=cut_turns,
    )
    return Parts(
        executor, store, encodings, calibrations, counter, counting, vectors, background, memory, cut_turns, fitter
    )


def build(settings: ContextSettings, log: Log, registry: CollectorRegistry) -> Service:
    """The service, not started."""
    parts = assemble(settings, log, registry)
    warm_up = _WarmUp(parts, log)

    async def start() -> None:
        parts.background.start()
        parts.cut_turns.start()
        await warm_up.start()

    async def stop() -> None:
        await warm_up.stop()
        await parts.close()

    return Service(
        name="context",
        servicers=(
            Servicer(
                pb.DESCRIPTOR.services_by_name["ContextService"].full_name,
                ContextService(parts.fitter, parts.counting, parts.memory, parts.cut_turns, parts.calibrations),
                rpc.add_ContextServiceServicer_to_server,
            ),
        ),
        start=start,
        stop=stop,
        conversation_methods=frozenset({"Fit", "CountTokens"}),
    )


class _WarmUp:
    """Loads the usual encoding and the embedder behind readiness: calls that come earlier wait, in a thread."""

    def __init__(self, parts: Parts, log: Log) -> None:
        self._parts = parts
        self._log = log
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._load(), name="context-warm-up")

    async def stop(self) -> None:
        if self._task is not None:
            await self._task

    async def _load(self) -> None:
        try:
            await self._parts.executor.run(self._parts.encodings.get, O200K)
            if await self._parts.executor.run(self._parts.vectors.embedder) is None:
                self._log.warning("embedder_damaged")
        except Exception as failure:
            # Not fatal: the next call meets the same, and its caller is told.
            self._log.error("warm_up_failed", failure)
