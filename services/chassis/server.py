"""One gRPC server: built, served, drained and stopped so that a restart loses no call.

    SIGTERM -> health NOT_SERVING -> wait until callers have left -> stop(grace) -> the services' own stop -> exit 0

A second signal exits at once. The wait matters: grpc.aio cancels calls that arrive while it stops (grpc/grpc #41785),
so callers, who watch health, must be gone by then.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection
from prometheus_client import CollectorRegistry

from services.chassis.client import KEEPALIVE_MS, TRANSPORT_BYTES
from services.chassis.interceptors import CallInterceptor
from services.chassis.logs import Log
from services.chassis.metrics import CallMetrics, MetricsEndpoint
from services.chassis.server_settings import ServerSettings
from services.chassis.settings import StartError
from services.chassis.tasks import stopped

# "" is the whole server; the two others are for probes.
READINESS, LIVENESS = "readiness", "liveness"
# The second signal: what a shell reports for a process that Ctrl-C ended.
_EXIT_AT_ONCE = 130


@dataclass(frozen=True, slots=True)
class Servicer:
    """One gRPC service of a server: its full name, its object, how it is registered."""

    full_name: str
    servicer: object
    add: Callable[[Any, grpc.aio.Server], None]


class Door(Protocol):
    """A way in beside gRPC, in the same event loop, opened and drained with it. `port` is the real one once it is open.

    The order is open, ready, leave, close; close may come at any time, also first, and more than once.
    """

    port: int

    async def open(self) -> None:
        """Listen. Raises StartError when the port cannot be had."""
        ...

    def ready(self) -> None:
        """The service has started."""
        ...

    def leave(self) -> None:
        """Callers should go elsewhere; those who come are still served."""
        ...

    async def close(self, grace: float) -> None:
        """Nobody comes in; running calls may end within `grace` seconds, then they are cut."""
        ...


@dataclass(frozen=True, slots=True)
class Service:
    """What a wiring file hands to the server. `start` tries peers once and may not need them; `stop` flushes."""

    name: str
    servicers: Sequence[Servicer]
    start: Callable[[], Awaitable[None]]
    stop: Callable[[], Awaitable[None]]
    conversation_methods: frozenset[str] = frozenset()
    # Methods whose handlers get an Unread instead of a message, and may answer with bytes.
    unread_methods: frozenset[str] = frozenset()
    door: Door | None = None


class Server:
    """A running server of one process. `port` and `metrics_port` are the real ones where 0 was asked for."""

    def __init__(self, service: Service, settings: ServerSettings, *, log: Log, registry: CollectorRegistry) -> None:
        self._service = service
        self._settings = settings
        self._registry = registry
        self._health = _Health()
        interceptor = CallInterceptor(
            log=log,
            metrics=CallMetrics(registry),
            believe_tenant=settings.believes_tenant(),
            most_calls=settings.most_calls,
            conversation_methods=service.conversation_methods,
            unread_methods=service.unread_methods,
        )
        self._server = grpc.aio.server(interceptors=[interceptor], options=_options(settings))
        self._metrics: MetricsEndpoint | None = None
        self.port = 0
        self.metrics_port = 0

    @property
    def http_port(self) -> int:
        """Where the door listens; 0: there is none."""
        return self._service.door.port if self._service.door is not None else 0

    async def start(self) -> None:
        """Listen, and be healthy once the service has started. Raises StartError when a port cannot be had."""
        names = [servicer.full_name for servicer in self._service.servicers]
        for servicer in self._service.servicers:
            servicer.add(servicer.servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if self._settings.reflection:
            every = (
                *names,
                health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
                reflection.SERVICE_NAME,
            )
            reflection.enable_server_reflection(every, self._server)
        for name in ("", READINESS, *names):
            await self._health.set(name, health_pb2.HealthCheckResponse.NOT_SERVING)
        await self._health.set(LIVENESS, health_pb2.HealthCheckResponse.SERVING)
        try:
            self._listen()
            if self._service.door is not None:
                await self._service.door.open()
            await self._server.start()
            await self._service.start()
        except BaseException:
            await self._server.stop(None)
            await self._close_door(0)
            await self._service.stop()
            self._close_metrics()
            raise
        for name in ("", READINESS, *names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        if self._service.door is not None:
            self._service.door.ready()

    async def drain_and_stop(self) -> None:
        """Callers leave, calls finish, the service flushes."""
        await self._health.enter_graceful_shutdown()
        if self._service.door is not None:
            self._service.door.leave()
        await asyncio.sleep(self._settings.drain.total_seconds())
        self._health.end_watches()
        try:
            await stopped(self._closed, self._service.stop)
        finally:
            self._close_metrics()

    async def _closed(self) -> None:
        """Both ways in, at once."""
        grace = self._settings.grace.total_seconds()
        await asyncio.gather(self._server.stop(grace), self._close_door(grace))

    async def _close_door(self, grace: float) -> None:
        if self._service.door is not None:
            await self._service.door.close(grace)

    def _close_metrics(self) -> None:
        if self._metrics is not None:
            self._metrics.close()

    def _listen(self) -> None:
        settings = self._settings
        _refuse_taken(settings.host, settings.port)
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        try:
            self.port = self._server.add_insecure_port(f"{host}:{settings.port}")
        except RuntimeError as failure:
            raise StartError(f"port {settings.host}:{settings.port} cannot be opened") from failure
        if settings.metrics_port >= 0:
            self._metrics = MetricsEndpoint(self._registry, host=settings.host, port=settings.metrics_port)
            self.metrics_port = self._metrics.port


class _Health(HealthServicer):  # type: ignore[misc]
    """Health whose watches can be ended: an open watch would hold up the stop for its whole grace."""

    def __init__(self) -> None:
        super().__init__()
        self._watches: set[asyncio.Task[Any]] = set()

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: ANN401, N802 - the name is gRPC's
        # In a task of its own: gRPC closes a call whose handler returns, but not one whose handler is cancelled.
        watch: asyncio.Task[None] = asyncio.create_task(super().Watch(request, context))
        self._watches.add(watch)
        try:
            await asyncio.wait({watch})
            if not watch.cancelled():
                await watch
        finally:
            self._watches.discard(watch)
            watch.cancel()

    def end_watches(self) -> None:
        """Hang up on all watchers."""
        for task in self._watches:
            task.cancel()


def _refuse_taken(host: str, port: int) -> None:
    """Say in our words why a port cannot be had, before gRPC says it in its own on stderr."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as failure:
            raise StartError(f"port {host}:{port} cannot be opened: {failure.strerror}") from failure
        except OverflowError as failure:
            raise StartError(f"port {host}:{port} cannot be opened: not a port") from failure


def _options(settings: ServerSettings) -> list[tuple[str, int]]:
    return [
        # Without it a second process would share the port in silence.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", TRANSPORT_BYTES),
        ("grpc.max_send_message_length", TRANSPORT_BYTES),
        ("grpc.max_concurrent_streams", max(settings.most_calls * 2, 128)),
        # Below the clients' keepalive, else their pings are answered with GOAWAY.
        ("grpc.http2.min_ping_interval_without_data_ms", KEEPALIVE_MS // 2),
        ("grpc.keepalive_permit_without_calls", 1),
        # Connections end now and then, so that callers look for new addresses; calls on them may finish.
        ("grpc.max_connection_age_ms", 30_000),
        ("grpc.max_connection_age_grace_ms", 330_000),
    ]


def catch_signals() -> asyncio.Event:
    """From here on the first SIGTERM or SIGINT sets the event, and a second one ends the process at once."""
    asked = asyncio.Event()

    def on_signal() -> None:
        if asked.is_set():
            os._exit(_EXIT_AT_ONCE)
        asked.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    return asked
