"""Wiring of the router: settings -> peers -> steps -> pipeline -> services. No logic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import grpc
from prometheus_client import CollectorRegistry

from omnisphere.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from omnisphere.context.v1.context_service_pb2_grpc import ContextServiceStub
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1.providers_service_pb2_grpc import ProvidersServiceStub
from omnisphere.router.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    memory_service_pb2,
    memory_service_pb2_grpc,
    router_service_pb2,
    router_service_pb2_grpc,
)
from services.chassis.client import open_channel
from services.chassis.clock import Clock, SystemClock
from services.chassis.logs import Log
from services.chassis.peer import Invoker, RemoteInvoker
from services.chassis.server import Service, Servicer
from services.chassis.tasks import stopped
from services.ledger.ledger import Ledger, NoBook
from services.router.admin import AdminService
from services.router.after import AfterAnswer
from services.router.books import Books
from services.router.cache_step import CacheStep
from services.router.cascade_run import Cascade
from services.router.catalog import CatalogueKeeper
from services.router.edge.app import Edge
from services.router.edge.chat import Chat
from services.router.edge.count_tokens import CountTokens
from services.router.edge.embeddings import Embeddings
from services.router.edge.metrics import EdgeMetrics
from services.router.edge.server import HttpDoor
from services.router.embed import Embedder
from services.router.execute import Executor
from services.router.fit_step import FitStep
from services.router.guard import Guard
from services.router.hot import HotAnswers
from services.router.judging import AnswerJudge
from services.router.learning.explore import Explorer
from services.router.learning.hit_checks import HitChecks
from services.router.learning.shadow import Shadow
from services.router.learning.wiring import Learning
from services.router.ledger import REQUESTS
from services.router.memory import MemoryService
from services.router.metrics import RouterMetrics
from services.router.peers import CachePeer, ContextPeer, ProvidersPeer
from services.router.pipeline import Pipeline
from services.router.planner import Planner
from services.router.policy_keeper import PolicyKeeper
from services.router.service import RouterService
from services.router.settings import RouterSettings
from services.router.single_flight import Flights
from services.router.tasks.example_keeper import ExampleKeeper, read_examples
from services.router.tasks.finder import TaskFinder
from services.router.usage import Usage


@dataclass(frozen=True, slots=True)
class Peers:
    """The services that the router calls, and the channels to close at stop."""

    cache: CachePeer
    context: ContextPeer
    providers: ProvidersPeer
    channels: tuple[grpc.aio.Channel, ...] = ()


@dataclass(frozen=True, slots=True)
class Dialled:
    """A service at its address: how it is called, its stub, and the channel to close."""

    invoker: Invoker
    stub: Any
    channel: grpc.aio.Channel


def remote_peers(settings: RouterSettings) -> Peers:
    """All peers over gRPC. Nothing is dialled before the first call. Needs a running event loop."""
    cache, context, providers = dial_cache(settings), dial_context(settings), dial_providers(settings)
    return Peers(
        cache=CachePeer(cache.invoker, cache.stub),
        context=ContextPeer(context.invoker, context.stub),
        providers=ProvidersPeer(providers.invoker, providers.stub),
        channels=(cache.channel, context.channel, providers.channel),
    )


def dial_cache(settings: RouterSettings) -> Dialled:
    """The cache service at its address."""
    channel = _channel(settings.cache, "omnisphere.cache.v1.CacheService", settings)
    return Dialled(RemoteInvoker(channel, peer="cache"), CacheServiceStub(channel), channel)


def dial_context(settings: RouterSettings) -> Dialled:
    """The context service at its address."""
    channel = _channel(settings.context, "omnisphere.context.v1.ContextService", settings)
    return Dialled(RemoteInvoker(channel, peer="context"), ContextServiceStub(channel), channel)


def dial_providers(settings: RouterSettings) -> Dialled:
    """The providers service at its address. Its calls wait a little for it: without it there is no answer."""
    channel = _channel(settings.providers, "omnisphere.providers.v1.ProvidersService", settings)
    patience = settings.providers_patience.total_seconds()
    invoker = RemoteInvoker(channel, peer="providers", known=(attempt_pb2.AttemptsFailed,), patience=patience)
    return Dialled(invoker, ProvidersServiceStub(channel), channel)


def _channel(target: str, health_name: str, settings: RouterSettings) -> grpc.aio.Channel:
    return open_channel(target, health_name=health_name, retries=settings.channel_retries)


@dataclass(frozen=True, slots=True)
class _Background:
    """What goes on between requests, in the order in which it starts."""

    ledger: Ledger | None
    books: Books
    after: AfterAnswer
    shadow: Shadow
    learning: Learning
    catalogue: CatalogueKeeper
    policies: PolicyKeeper
    examples: ExampleKeeper

    async def start(self) -> None:
        if self.ledger is not None:
            self.ledger.start()
        self.after.start()
        self.shadow.start()
        await self.learning.start()
        await self.catalogue.start()
        self.policies.start()
        self.examples.start()

    async def stop(self) -> None:
        parts = (self.policies, self.examples, self.catalogue, self.shadow, self.after, self.books, self.learning)
        ledgers = () if self.ledger is None else (self.ledger,)
        await stopped(*(part.stop for part in (*parts, *ledgers)))


def build(settings: RouterSettings, log: Log, registry: CollectorRegistry, peers: Peers | None = None) -> Service:
    """The router. `peers` are handed in where they live in the same process."""
    clock = SystemClock()
    metrics = RouterMetrics(registry)
    peers = peers or remote_peers(settings)
    background = _background(settings, log, clock, metrics, peers)
    catalogue, learning = background.catalogue, background.learning
    deadline = settings.deadline.total_seconds()
    checks = HitChecks(background.shadow, peers.cache, peers.providers, metrics.learning)
    cache = CacheStep(peers.cache, Guard(), clock, timeout=settings.cache_timeout.total_seconds(), checks=checks)
    books = background.books
    pipeline = _pipeline(settings, log, clock, metrics, peers, background, cache)
    embedder = Embedder(providers=peers.providers, catalogue=catalogue, books=books, clock=clock, deadline=deadline)
    usage = Usage(background.ledger, all_tenants=settings.believes_tenant())
    hot = HotAnswers(cache, books, clock, catalogue, background.policies, most_bytes=settings.hot_bytes)
    service = RouterService(pipeline, catalogue, usage, embedder, hot, learning.outcomes)

    counter = CountTokens(peers.context.count_tokens, catalogue, pipeline)
    embeddings = Embeddings(lambda request: service.Embed(request, None), peers.context.decode_tokens)

    async def stop() -> None:
        await stopped(pipeline.stop, background.stop, *(channel.close for channel in peers.channels))

    return Service(
        name="router",
        servicers=_servicers(service, peers),
        start=background.start,
        stop=stop,
        conversation_methods=frozenset({"Complete", "StreamComplete", "Explain"}),
        unread_methods=frozenset({"Complete"}),
        door=_door(settings, Chat(pipeline), counter, embeddings, catalogue, background.policies, log, registry),
    )


def _background(settings: RouterSettings, log: Log, clock: Clock, metrics: RouterMetrics, peers: Peers) -> _Background:
    catalogue = CatalogueKeeper(peers.providers, every=settings.catalogue_every, log=log)
    ledger = _ledger(settings, log, metrics) if settings.ledger else None
    return _Background(
        ledger=ledger,
        books=Books(
            ledger or NoBook(),
            metrics=metrics,
            providers=peers.providers,
            clock=clock,
            hash_key=settings.prompt_hash_key(),
        ),
        after=AfterAnswer(
            waiting=settings.waiting_stores, log=log, dropped=lambda why: metrics.stores_dropped.labels(why).inc()
        ),
        shadow=Shadow(clock=clock, log=log, budget_nanousd=int(settings.shadow_usd_per_day * 1e9)),
        learning=Learning(settings, log, clock, metrics),
        catalogue=catalogue,
        policies=PolicyKeeper(
            settings.routes,
            lambda: catalogue.current,
            log,
            failed=lambda: metrics.reload_failures.labels("policies").inc(),
        ),
        examples=ExampleKeeper(read_examples(settings.task_examples), peers.cache, log),
    )


def _pipeline(
    settings: RouterSettings,
    log: Log,
    clock: Clock,
    metrics: RouterMetrics,
    peers: Peers,
    background: _Background,
    cache: CacheStep,
) -> Pipeline:
    learning, deadline = background.learning, settings.deadline.total_seconds()
    fit = FitStep(peers.context, Guard(), clock, timeout=settings.context_timeout.total_seconds())
    executor = Executor(fit=fit, providers=peers.providers, deadline=deadline)
    judge = AnswerJudge(peers.providers, learning.verifier)
    return Pipeline(
        policies=background.policies,
        catalogue=background.catalogue,
        cache=cache,
        fit=fit,
        tasks=TaskFinder(background.examples, peers.cache),
        planner=Planner(learning.forecasts),
        executor=executor,
        cascade=Cascade(executor, judge),
        outcomes=learning.outcomes,
        explorer=Explorer(
            background.shadow,
            peers.providers,
            judge,
            learning.outcomes,
            share=settings.explore_share,
            counted=metrics.learning.explored,
        ),
        flights=Flights(remember_for=settings.remember_for, most_bytes=settings.remember_bytes),
        after=background.after,
        metrics=metrics,
        log=log,
        clock=clock,
        deadline=deadline,
        books=background.books,
    )


def _door(
    settings: RouterSettings,
    chat: Chat,
    counter: CountTokens,
    embeddings: Embeddings,
    catalogue: CatalogueKeeper,
    policies: PolicyKeeper,
    log: Log,
    registry: CollectorRegistry,
) -> HttpDoor | None:
    """The HTTP edge, where it is on."""
    if settings.http_port < 0:
        return None
    edge = Edge(
        chat=chat,
        counter=counter,
        embeddings=embeddings,
        catalogue=catalogue,
        policies=lambda: policies.current,
        metrics=EdgeMetrics(registry),
        log=log,
        believes_tenant=settings.believes_tenant(),
        most_calls=settings.most_calls,
        deadline=settings.deadline.total_seconds(),
    )
    return HttpDoor(edge, host=settings.host, port=settings.http_port)


def _ledger(settings: RouterSettings, log: Log, metrics: RouterMetrics) -> Ledger:
    return Ledger(
        REQUESTS,
        settings.ledger_file(),
        log=log,
        clock=SystemClock(),
        keep=settings.ledger_keep,
        on_lost=lambda rows, why: metrics.ledger_lost.labels(why).inc(rows),
    )


def _servicers(service: RouterService, peers: Peers) -> tuple[Servicer, ...]:
    router = router_service_pb2.DESCRIPTOR.services_by_name["RouterService"].full_name
    admin = admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"].full_name
    memory = memory_service_pb2.DESCRIPTOR.services_by_name["MemoryService"].full_name
    return (
        Servicer(router, service, router_service_pb2_grpc.add_RouterServiceServicer_to_server),
        Servicer(admin, AdminService(peers.cache), admin_service_pb2_grpc.add_AdminServiceServicer_to_server),
        Servicer(memory, MemoryService(peers.context), memory_service_pb2_grpc.add_MemoryServiceServicer_to_server),
    )
