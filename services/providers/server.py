"""Wiring of the providers service: settings -> sources -> directory -> caller -> service."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from omnisphere.providers.v1 import providers_service_pb2, providers_service_pb2_grpc
from services.chassis.clock import Clock, SystemClock
from services.chassis.logs import Log
from services.chassis.server import Service, Servicer
from services.ledger.ledger import Ledger, NoBook
from services.providers.adapters import formats
from services.providers.call import Caller
from services.providers.discover import Sources, discover
from services.providers.embed import Embedder
from services.providers.endpoints import Directory, OperatorFile, operator_file, shipped
from services.providers.ledger import ATTEMPTS, Attempts
from services.providers.metrics import ProvidersMetrics
from services.providers.service import ProvidersService
from services.providers.settings import ProvidersSettings
from services.providers.transport import Limits, Transport

# A simulator that is not up yet is looked for often; everything else at the configured pace.
_SOON = 0.5


class Surroundings:
    """Keeps the directory of models and endpoints up to date."""

    def __init__(self, settings: ProvidersSettings, log: Log) -> None:
        known, operator = shipped(), OperatorFile()
        if settings.config is not None:
            operator = operator_file(settings.config, known.models)
        self._sources = Sources(
            shipped=known,
            operator=operator,
            keys=settings.keys,
            simulator=settings.simulator,
            simulator_url=settings.simulator_url,
            look_locally=settings.discover,
        )
        self._required = settings.simulator == "off"
        self._every = settings.discover_every.total_seconds()
        self._log = log
        self._loop: asyncio.Task[None] | None = None
        self._transport: Transport | None = None
        self.directory = Directory(known.models, (), known.price_providers)

    async def start(self, transport: Transport) -> None:
        """Look once; go on looking in the background. Where simulated models are off, wait for a real endpoint."""
        self._transport = transport
        await self._look()
        if self._sources.simulator == "on" and self._sources.keys:
            self._log.info("keys_ignored", reason="OMNISPHERE_SIMULATOR is on")
        while self._required and not self.directory.endpoints:
            self._log.warning("no_endpoint", reason="no key, no local server, and simulated models are off")
            await asyncio.sleep(self._every)
            await self._look()
        self._loop = asyncio.create_task(self._keep_looking(), name="discover")

    async def stop(self) -> None:
        """End the background look."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._every if self.directory.endpoints else _SOON)
            try:
                await self._look()
            except Exception as failure:
                self._log.error("discover_failed", failure)

    async def _look(self) -> None:
        assert self._transport is not None  # noqa: S101 - start() sets it
        found = await discover(self._sources, self._transport)
        if not found.endpoints and self.directory.endpoints and self._sources.simulator != "off":
            return  # a simulator that restarts: its models come back under the same names
        if found.version != self.directory.version:
            names = ",".join(endpoint.name for endpoint in found.endpoints)
            self._log.info("endpoints", names=names, models=len(found.models), version=found.version)
            self.directory = found


def build(settings: ProvidersSettings, log: Log, registry: CollectorRegistry) -> Service:
    """The providers service. Files are read here; nothing is dialled before start."""
    limits = Limits(
        connect=settings.connect_timeout.total_seconds(),
        first_byte=settings.first_byte_timeout.total_seconds(),
        whole=settings.whole_answer_timeout.total_seconds(),
        idle=settings.idle_timeout.total_seconds(),
        most_bytes=settings.most_answer_bytes,
    )
    transport = Transport(limits)
    surroundings = Surroundings(settings, log)
    clock, metrics = SystemClock(), ProvidersMetrics(registry)
    ledger = _ledger(settings, log, metrics, clock) if settings.ledger else None
    attempts = Attempts(ledger or NoBook(), metrics)
    caller = Caller(
        directory=lambda: surroundings.directory,
        formats=formats.CHAT,
        transport=transport,
        attempts=attempts,
        clock=clock,
    )
    embedder = Embedder(
        directory=lambda: surroundings.directory,
        formats=formats.EMBEDDINGS,
        transport=transport,
        attempts=attempts,
        clock=clock,
    )
    servicer = ProvidersService(caller, embedder, lambda: surroundings.directory, attempts)

    async def start() -> None:
        if ledger is not None:
            ledger.start()
        await surroundings.start(transport)

    async def stop() -> None:
        await surroundings.stop()
        await transport.close()
        if ledger is not None:
            await ledger.stop()

    full_name = providers_service_pb2.DESCRIPTOR.services_by_name["ProvidersService"].full_name
    add = providers_service_pb2_grpc.add_ProvidersServiceServicer_to_server
    return Service(
        name="providers",
        servicers=(Servicer(full_name, servicer, add),),
        start=start,
        stop=stop,
        conversation_methods=frozenset({"Generate", "StreamGenerate"}),
    )


def _ledger(settings: ProvidersSettings, log: Log, metrics: ProvidersMetrics, clock: Clock) -> Ledger:
    return Ledger(
        ATTEMPTS,
        settings.ledger_file(),
        log=log,
        clock=clock,
        keep=settings.ledger_keep,
        on_lost=lambda rows, why: metrics.ledger_lost.labels(why).inc(rows),
    )
