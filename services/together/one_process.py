"""All services in one process: the router listens, and calls the others straight in their objects.

Some of them may stay outside (`remote`): with the cache remote, this is the pod that answers from one shared cache.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import grpc
from prometheus_client import CollectorRegistry

from services.cache import server as cache_wiring
from services.cache import settings as cache_settings
from services.chassis.logs import Log
from services.chassis.peer import Invoker, LocalInvoker
from services.chassis.run import PARENT_VARIABLE
from services.chassis.server import Server, Service
from services.chassis.settings import StartError, variable
from services.chassis.tasks import stopped
from services.context import server as context_wiring
from services.context import settings as context_settings
from services.context.peers import ProvidersPeer as SummariserPeer
from services.providers import server as providers_wiring
from services.providers import settings as providers_settings
from services.router import server as router_wiring
from services.router import settings as router_settings
from services.router.peers import CachePeer, ContextPeer, ProvidersPeer
from services.router.server import Dialled, Peers, dial_cache, dial_context, dial_providers
from services.router.settings import RouterSettings
from services.simulator import settings as simulator_settings
from services.simulator.server import Simulator


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """The settings of every service; the environment says the same as to each of them alone."""

    router: router_settings.RouterSettings
    cache: cache_settings.CacheSettings
    context: context_settings.ContextSettings
    providers: providers_settings.ProvidersSettings
    simulator: simulator_settings.SimulatorSettings


def load(environ: Mapping[str, str]) -> MeshSettings:
    """All settings. Raises StartError that names every variable of every service that is wrong."""
    problems: list[str] = []

    def loaded(load_one: object) -> object:
        try:
            return load_one(environ)  # type: ignore[operator]
        except StartError as failure:
            problems.extend(str(failure).splitlines())
            return None

    loaders = (router_settings, cache_settings, context_settings, providers_settings, simulator_settings)
    parts = [loaded(module.load) for module in loaders]
    if problems:
        raise StartError("\n".join(dict.fromkeys(problems)))
    return MeshSettings(*parts)  # type: ignore[arg-type]


def variables() -> frozenset[str]:
    """Every variable that some service reads, the keys of vendors not among them."""
    kinds = (
        (router_settings.RouterSettings, router_settings.PREFIX),
        (cache_settings.CacheSettings, cache_settings.PREFIX),
        (context_settings.ContextSettings, context_settings.PREFIX),
        (providers_settings.ProvidersSettings, providers_settings.PREFIX),
        (simulator_settings.SimulatorSettings, simulator_settings.PREFIX),
    )
    named = (variable(field, prefix) for kind, prefix in kinds for field in fields(kind))
    return frozenset({*named, PARENT_VARIABLE})


class OneProcess:
    """A mesh in this process. `start` listens, `stop` drains."""

    def __init__(self, settings: MeshSettings, log: Log, *, remote: Collection[str] = ()) -> None:
        self._settings = settings
        self._remote = _checked(remote)
        self._log = log
        self.registry = CollectorRegistry()
        self.simulator: Simulator | None = None
        self.server: Server | None = None

    @property
    def port(self) -> int:
        """Where the router listens."""
        return self.server.port if self.server is not None else 0

    @property
    def http_port(self) -> int:
        """Where the router's HTTP edge is; 0: nowhere."""
        return self.server.http_port if self.server is not None else 0

    @property
    def metrics_port(self) -> int:
        """Where /metrics is; 0: nowhere."""
        return self.server.metrics_port if self.server is not None else 0

    async def start(self) -> None:
        """Build everything, and listen. Raises StartError when a port cannot be had."""
        settings = self._settings
        if "providers" not in self._remote and wants_simulator(settings.providers):
            self.simulator = Simulator()
            await self.simulator.start(replace(settings.simulator, port=0))
            url = f"http://127.0.0.1:{self.simulator.port}"
            settings = replace(settings, providers=replace(settings.providers, simulator_url=url))
        service = _together(settings, self._log, self.registry, self._remote)
        self.server = Server(service, settings.router, log=self._log, registry=self.registry)
        try:
            await self.server.start()
        except BaseException:
            if self.simulator is not None:
                await self.simulator.stop()
            raise

    async def stop(self) -> None:
        """Callers leave, calls finish, everything flushes."""
        if self.server is not None:
            await self.server.drain_and_stop()
        if self.simulator is not None:
            await self.simulator.stop()


def wants_simulator(settings: providers_settings.ProvidersSettings) -> bool:
    """Whether simulated models may be needed: a local server may still make them superfluous."""
    return settings.simulator == "on" or (settings.simulator == "auto" and not settings.keys and not settings.config)


def _checked(remote: Collection[str]) -> frozenset[str]:
    unknown = set(remote) - {"cache", "context", "providers"}
    if unknown:
        raise StartError(f"remote: {', '.join(sorted(unknown))}: must be among cache, context, providers")
    return frozenset(remote)


def _together(settings: MeshSettings, log: Log, registry: CollectorRegistry, remote: frozenset[str]) -> Service:
    """The router as a service that starts and stops those beside it with itself."""
    beside: list[Service] = []
    channels: list[grpc.aio.Channel] = []

    def reach(
        name: str, dial: Callable[[RouterSettings], Dialled], build: Callable[[], Service]
    ) -> tuple[Invoker, Any]:
        """How the router calls this service: at its address, or in its object beside it."""
        if name in remote:
            dialled = dial(settings.router)
            channels.append(dialled.channel)
            return dialled.invoker, dialled.stub
        service = build()
        beside.append(service)
        return LocalInvoker(peer=name, log=log), service.servicers[0].servicer

    cache = reach("cache", dial_cache, lambda: cache_wiring.build(settings.cache, log, registry))
    providers = reach("providers", dial_providers, lambda: providers_wiring.build(settings.providers, log, registry))
    summariser = SummariserPeer(*providers)
    context = reach("context", dial_context, lambda: context_wiring.build(settings.context, log, registry, summariser))
    peers = Peers(
        cache=CachePeer(*cache),
        context=ContextPeer(*context),
        providers=ProvidersPeer(*providers),
        channels=tuple(channels),
    )
    router = router_wiring.build(settings.router, log, registry, peers)

    async def start() -> None:
        for service in (*beside, router):
            await service.start()

    async def stop() -> None:
        await stopped(*(service.stop for service in (router, *beside)))

    return replace(router, start=start, stop=stop)
