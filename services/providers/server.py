"""Wiring of the providers service: settings -> sources -> directory -> caller -> service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from prometheus_client import CollectorRegistry

from omnisphere.providers.v1 import providers_service_pb2, providers_service_pb2_grpc
from services.chassis.clock import Clock, SystemClock
from services.chassis.logs import Log
from services.chassis.server import Service, Servicer
from services.chassis.tasks import stopped
from services.ledger.ledger import Ledger, NoBook
from services.providers import operator_file
from services.providers.adapters import formats
from services.providers.balancer import BALANCERS
from services.providers.breaker import BreakerRules
from services.providers.call import Caller
from services.providers.discover import Sources, discover
from services.providers.embed import Embedder
from services.providers.endpoints import Directory, shipped
from services.providers.exchange import Sender
from services.providers.keys import looks_wrong
from services.providers.ledger import ATTEMPTS, Attempts
from services.providers.listing import Listing
from services.providers.metrics import ProvidersMetrics
from services.providers.patience import Limits
from services.providers.picker import Picker
from services.providers.places import Places
from services.providers.pricing import Pricing
from services.providers.retry import Retries, RetryRules
from services.providers.service import ProvidersService
from services.providers.settings import ProvidersSettings
from services.providers.transport import Transport
from services.providers.tries import Trier
from services.providers.watch import LoggedWatch

# A simulator that is not up yet is looked for often; everything else at the configured pace.
_SOON = 0.5


class Surroundings:
    """Keeps the directory of models and endpoints up to date."""

    def __init__(self, settings: ProvidersSettings, places: Places, watch: LoggedWatch, log: Log) -> None:
        known, operator = shipped(), operator_file.OperatorFile()
        if settings.config is not None:
            operator = operator_file.read(settings.config, known, settings.needed_keys)
        self._sources = Sources(
            shipped=known,
            operator=operator,
            keys=settings.keys,
            simulator=settings.simulator,
            simulator_url=settings.simulator_url,
            look_locally=settings.discover,
            proxy=settings.proxy.reveal() if settings.proxy else "",
        )
        self._required = settings.simulator == "off"
        self._every = settings.discover_every.total_seconds()
        self._log = log
        self._loop: asyncio.Task[None] | None = None
        self._transport: Transport | None = None
        self._places, self._watch = places, watch
        self.directory = Directory(known.models, (), known.price_providers)

    async def start(self, transport: Transport) -> None:
        """Look once; go on looking in the background. Where simulated models are off, wait for a real endpoint."""
        self._transport = transport
        await self._look()
        if self._sources.simulator == "on" and self._sources.keys:
            self._log.info("keys_ignored", reason="OMNISPHERE_SIMULATOR is on")
        for name in sorted(name for name, secret in self._sources.keys.items() if looks_wrong(secret)):
            self._log.warning("key_ignored", key=name, reason="it has blanks, quotes or other characters of no key")
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
            self._places.keep_only(endpoint.name for endpoint in found.endpoints)
            self._watch.known(endpoint.name for endpoint in found.endpoints)


def build(settings: ProvidersSettings, log: Log, registry: CollectorRegistry) -> Service:
    """The providers service. Files are read here; nothing is dialled before start."""
    transport = Transport(_limits(settings))
    places = Places(_breaker_rules(settings), settings.longest_rest.total_seconds())
    clock, metrics = SystemClock(), ProvidersMetrics(registry)
    watch = LoggedWatch(metrics, log)
    surroundings = Surroundings(settings, places, watch, log)
    ledger = _ledger(settings, log, metrics, clock) if settings.ledger else None
    attempts = Attempts(ledger or NoBook(), metrics)
    random = Random()  # noqa: S311 - spreads calls and waits; nothing depends on its being a secret
    picker = Picker(places, BALANCERS[settings.balancer], random, watch)
    retries = Retries(_retry_rules(settings), clock, random)

    def directory() -> Directory:
        return surroundings.directory

    pricing = Pricing(settings.unpriced)
    caller, embedder = callers(directory, transport, attempts, picker, retries, pricing, metrics, clock)
    servicer = ProvidersService(caller, embedder, Listing(directory, places, clock), attempts)

    async def start() -> None:
        if ledger is not None:
            ledger.start()
        await surroundings.start(transport)

    async def stop() -> None:
        ledgers = () if ledger is None else (ledger.stop,)
        await stopped(surroundings.stop, transport.close, *ledgers)

    full_name = providers_service_pb2.DESCRIPTOR.services_by_name["ProvidersService"].full_name
    add = providers_service_pb2_grpc.add_ProvidersServiceServicer_to_server
    return Service(
        name="providers",
        servicers=(Servicer(full_name, servicer, add),),
        start=start,
        stop=stop,
        conversation_methods=frozenset({"Generate", "StreamGenerate"}),
    )


def callers(
    directory: Callable[[], Directory],
    transport: Transport,
    attempts: Attempts,
    picker: Picker,
    retries: Retries,
    pricing: Pricing,
    metrics: ProvidersMetrics,
    clock: Clock,
) -> tuple[Caller, Embedder]:
    """The two journeys, over the same endpoints and books."""
    sender = Sender(transport=transport, attempts=attempts, picker=picker, clock=clock)
    trier = Trier(picker=picker, retries=retries, metrics=metrics, clock=clock)
    return (
        Caller(directory, formats.CHAT, pricing=pricing, sender=sender, trier=trier, clock=clock),
        Embedder(directory, formats.EMBEDDINGS, pricing=pricing, sender=sender, trier=trier, clock=clock),
    )


def _limits(settings: ProvidersSettings) -> Limits:
    return Limits(
        connect=settings.connect_timeout.total_seconds(),
        first_token=settings.first_token_timeout.total_seconds(),
        whole=settings.whole_answer_timeout.total_seconds(),
        idle=settings.idle_timeout.total_seconds(),
        total=settings.stream_timeout.total_seconds(),
        most_bytes=settings.most_answer_bytes,
    )


def _breaker_rules(settings: ProvidersSettings) -> BreakerRules:
    return BreakerRules(
        failures=settings.breaker_failures,
        first=settings.breaker_first.total_seconds(),
        most=settings.breaker_most.total_seconds(),
    )


def _retry_rules(settings: ProvidersSettings) -> RetryRules:
    return RetryRules(
        attempts=settings.attempts,
        longest_wait=settings.longest_wait.total_seconds(),
        budget=settings.retry_budget,
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
