"""The wiring of the context service; no logic."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import grpc
from prometheus_client import CollectorRegistry

from omnisphere.context.v1 import context_service_pb2 as pb
from omnisphere.context.v1 import context_service_pb2_grpc as rpc
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1.providers_service_pb2_grpc import ProvidersServiceStub
from services.chassis.client import open_channel
from services.chassis.clock import SystemClock
from services.chassis.executor import Executor
from services.chassis.logs import Log
from services.chassis.peer import RemoteInvoker
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
from services.context.peers import ProvidersPeer
from services.context.ranks import O200K, Encodings
from services.context.service import ContextService
from services.context.settings import ContextSettings
from services.context.store import Store
from services.context.summarise import Summaries
from services.context.tokens import TokenCounter
from services.context.vectors import Background, Vectors
from services.embedding.embedder import Embedder
from services.embedding.shared import minilm

_POLICIES = {
    "retrieve": pb.FIT_POLICY_RETRIEVE,
    "window": pb.FIT_POLICY_WINDOW,
    "summarise": pb.FIT_POLICY_SUMMARISE,
}


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
    summaries: Summaries
    fitter: Fitter

    async def close(self) -> None:
        """Write what waits; end the threads; let go of the file."""
        await self.summaries.stop()
        await self.background.stop()
        await self.cut_turns.stop()
        self.executor.close()
        self.store.close()


def assemble(
    settings: ContextSettings, log: Log, registry: CollectorRegistry, load: Callable[[], Embedder] = minilm
) -> Parts:
    """The objects, not started. `load` makes the embedder."""
    clock, metrics, encodings = SystemClock(), ContextMetrics(registry), Encodings()
    executor = Executor(threads=settings.threads, waiting=settings.waiting)
    store = Store(settings.store_file(), log)
    calibrations = Calibrations(store)
    counter = TokenCounter(encodings, Memo(settings.memo_messages), calibrations)
    counting = Counting(counter, executor, metrics, inline_bytes=settings.inline_bytes)
    vectors = Vectors(load, most=settings.vectors)
    background = Background(vectors, log, waiting=settings.waiting_vectors)
    memory = Memory(store, executor, vectors, background, clock)
    cut_turns = CutTurns(store, executor, clock, log)
    summaries = Summaries(
        store,
        executor,
        clock,
        log,
        model=settings.summary_model,
        timeout=settings.summary_timeout.total_seconds(),
        waiting=settings.waiting_summaries,
    )
    fitter = Fitter(
        counting,
        Cutter(counter, Known(settings.conversations), vectors),
        background,
        metrics,
        counter=counter,
        memory=memory,
        cut_turns=cut_turns,
        summaries=summaries,
        policy=_POLICIES[settings.policy],
    )
    return Parts(
        executor,
        store,
        encodings,
        calibrations,
        counter,
        counting,
        vectors,
        background,
        memory,
        cut_turns,
        summaries,
        fitter,
    )


def build(
    settings: ContextSettings, log: Log, registry: CollectorRegistry, providers: ProvidersPeer | None = None
) -> Service:
    """The service, not started. `providers` is handed in where it lives in the same process."""
    parts = assemble(settings, log, registry)
    warm_up = _WarmUp(parts, log)
    channels: list[grpc.aio.Channel] = []

    async def start() -> None:
        parts.summaries.start(providers or _dialled(settings, channels))
        parts.background.start()
        parts.cut_turns.start()
        await warm_up.start()

    async def stop() -> None:
        await warm_up.stop()
        await parts.close()
        for channel in channels:
            await channel.close()

    return Service(
        name="context",
        servicers=(
            Servicer(
                pb.DESCRIPTOR.services_by_name["ContextService"].full_name,
                ContextService(
                    parts.fitter,
                    parts.counting,
                    parts.memory,
                    parts.cut_turns,
                    parts.calibrations,
                    parts.encodings,
                ),
                rpc.add_ContextServiceServicer_to_server,
            ),
        ),
        start=start,
        stop=stop,
        conversation_methods=frozenset({"Fit", "CountTokens"}),
    )


def _dialled(settings: ContextSettings, channels: list[grpc.aio.Channel]) -> ProvidersPeer:
    """The providers service at its address. Nothing is dialled before the first call."""
    channel = open_channel(settings.providers, health_name="omnisphere.providers.v1.ProvidersService")
    channels.append(channel)
    invoker = RemoteInvoker(channel, peer="providers", known=(attempt_pb2.AttemptsFailed,))
    return ProvidersPeer(invoker, ProvidersServiceStub(channel))


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
