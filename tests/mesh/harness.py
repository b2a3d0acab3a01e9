"""A running mesh as tests see it: its stubs, its simulator, its books. The same for one process and for four."""

from __future__ import annotations

import asyncio
import json
import os
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.message import Message as Proto

from omnisphere.cache.v1.cache_service_pb2_grpc import CacheServiceStub
from omnisphere.chat.v1 import chat_pb2
from omnisphere.context.v1.context_service_pb2_grpc import ContextServiceStub
from omnisphere.providers.v1.providers_service_pb2_grpc import ProvidersServiceStub
from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere.router.v1.admin_service_pb2_grpc import AdminServiceStub
from omnisphere.router.v1.memory_service_pb2_grpc import MemoryServiceStub
from omnisphere.router.v1.router_service_pb2_grpc import RouterServiceStub
from services.chassis.client import open_channel
from services.chassis.errors import ServiceError, from_rpc_error
from services.chassis.logs import Log
from services.cli.books import differences, providers_books, simulator_books
from services.together.four_processes import FourProcesses
from services.together.one_process import OneProcess, load
from tests.mesh import fields

SECONDS = 10.0
_BOOKS_SECONDS = 3.0
_HEALTH = {
    "router": "omnisphere.router.v1.RouterService",
    "cache": "omnisphere.cache.v1.CacheService",
    "context": "omnisphere.context.v1.ContextService",
    "providers": "omnisphere.providers.v1.ProvidersService",
}


def environment(state: Path, **more: str) -> dict[str, str]:
    """The environment of a mesh under test: simulated models that answer at once, nothing of the person's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OMNISPHERE_")}  # noqa: TID251
    return {
        **{name: value for name, value in kept.items() if not name.endswith("_API_KEY")},
        "OMNISPHERE_STATE": str(state),
        "OMNISPHERE_SIMULATOR": "on",
        "OMNISPHERE_SIMULATOR_LATENCY_SCALE": "0",
        "OMNISPHERE_ROUTER_HTTP_PORT": "0",
        # Meshes are shared by tests: what goes wrong in one leaves nothing behind for the next.
        "OMNISPHERE_PROVIDERS_ATTEMPTS": "1",
        "OMNISPHERE_PROVIDERS_LONGEST_REST": "0s",
        "OMNISPHERE_PROVIDERS_BREAKER_FAILURES": "1000000",
        # Tests count the calls that reach a model.
        "OMNISPHERE_ROUTER_EXPLORE_SHARE": "0",
        "OMNISPHERE_CACHE_CHECK_SHARE": "0",
        "OMNISPHERE_ROUTER_DRAIN": "200ms",
        "OMNISPHERE_CACHE_DRAIN": "200ms",
        "OMNISPHERE_CONTEXT_DRAIN": "200ms",
        "OMNISPHERE_PROVIDERS_DRAIN": "200ms",
        **more,
    }


class Mesh:
    """Stubs, the base URL of the HTTP edge, and books.

    Every response that comes through `call` and `stream` is noted for the walk over all fields.
    """

    def __init__(
        self,
        channels: Mapping[str, grpc.aio.Channel],
        *,
        simulator: int,
        metrics: int,
        http: int = 0,
        router_metrics: int = 0,
        port: int = 0,
    ) -> None:
        self._channels = channels
        self.port = port
        self.base_url = f"http://127.0.0.1:{http}"
        self._simulator = simulator
        self._metrics = metrics
        self._router_metrics = router_metrics
        self.router = RouterServiceStub(channels["router"])
        self.admin = AdminServiceStub(channels["router"])
        self.memory = MemoryServiceStub(channels["router"])

    @property
    def channel(self) -> grpc.aio.Channel:
        return self._channels["router"]

    @property
    def cache(self) -> Any:
        return CacheServiceStub(self._channels["cache"])

    @property
    def context(self) -> Any:
        return ContextServiceStub(self._channels["context"])

    @property
    def providers(self) -> Any:
        return ProvidersServiceStub(self._channels["providers"])

    async def call(self, method: Any, request: Proto, *, tenant: str = "", timeout: float = SECONDS) -> Any:
        """The response; a failing status comes out as ServiceError."""
        metadata = (("omnisphere-tenant", tenant),) if tenant else ()
        try:
            response = await method(request, timeout=timeout, metadata=metadata)
        except grpc.aio.AioRpcError as failure:
            raise from_rpc_error(failure, peer="router") from failure
        fields.note(response)
        return response

    async def stream(self, request: pb.StreamCompleteRequest) -> tuple[list[Any], ServiceError | None]:
        """(all events, the error after them)."""
        events = []
        try:
            async for event in self.router.StreamComplete(request, timeout=SECONDS):
                fields.note(event)
                events.append(event)
        except grpc.aio.AioRpcError as failure:
            return events, from_rpc_error(failure, peer="router")
        return events, None

    async def complete(self, text: str, *, tenant: str = "", timeout: float = SECONDS, **more: Any) -> Any:
        """Complete with one question."""
        request = pb.CompleteRequest(conversation=asking(text), **more)
        return await self.call(self.router.Complete, request, tenant=tenant, timeout=timeout)

    async def fault(self, **fault: Any) -> None:
        """Have the simulator misbehave."""
        await self._simulated("/faults", "POST", {"model": "*", "times": 1, **fault})

    async def no_faults(self) -> None:
        """Have it behave again."""
        await self._simulated("/faults", "DELETE")

    async def upstream_requests(self) -> int:
        """How many requests have reached the simulator so far."""
        books = await self._simulated("/books")
        total: int = books["total"]["requests"]
        return total

    async def last_upstream(self) -> dict[str, Any]:
        """The body of the newest request that reached the simulator."""
        return (await self.upstream_rows())[-1]

    async def upstream_rows(self) -> list[dict[str, Any]]:
        """The newest requests that reached the simulator, oldest first."""
        requests = await self._simulated("/requests")
        rows: list[dict[str, Any]] = requests["requests"] if isinstance(requests, dict) else requests
        return rows

    async def book_differences(self) -> list[str]:
        """Where the providers' books and the simulator's differ, once both have settled."""
        found = [""]
        for _ in range(int(_BOOKS_SECONDS / 0.05)):
            found = differences(await providers_books(self._metrics), await simulator_books(self._simulator))
            if not found:
                return []
            await asyncio.sleep(0.05)
        return found

    async def router_metrics(self) -> str:
        """The figures of the router's process."""
        url = f"http://127.0.0.1:{self._router_metrics}/metrics"

        def fetch() -> str:
            with urllib.request.urlopen(url, timeout=5) as response:
                return str(response.read().decode())

        return await asyncio.to_thread(fetch)

    async def _simulated(self, path: str, method: str = "GET", body: Any = None) -> Any:
        url = f"http://127.0.0.1:{self._simulator}{path}"
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}

        def fetch() -> Any:
            request = urllib.request.Request(url, data=data, method=method, headers=headers)
            with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
                text = response.read()
            return json.loads(text) if text else None

        return await asyncio.to_thread(fetch)


@asynccontextmanager
async def in_one_process(state: Path, **more: str) -> AsyncIterator[Mesh]:
    """All services in this process."""
    free = {"OMNISPHERE_ROUTER_PORT": "0", "OMNISPHERE_ROUTER_METRICS_PORT": "0"}
    with (state / "log").open("w") as out:
        running = OneProcess(load(environment(state, **free, **more)), Log("omnisphere", stream=out))
        await running.start()
        assert running.simulator is not None
        channel = open_channel(f"127.0.0.1:{running.port}", health_name=_HEALTH["router"])
        try:
            yield Mesh(
                {"router": channel},
                simulator=running.simulator.port,
                metrics=running.metrics_port,
                http=running.http_port,
                router_metrics=running.metrics_port,
                port=running.port,
            )
        finally:
            await channel.close()
            await running.stop()


@asynccontextmanager
async def started(state: Path, **more: str) -> AsyncIterator[FourProcesses]:
    """Four processes and a simulator."""
    running = FourProcesses(environment(state, **more), logs=state / "logs", simulator=True)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


@asynccontextmanager
async def connected(running: FourProcesses, *, retries: bool = True) -> AsyncIterator[Mesh]:
    """Channels to four running processes."""
    channels = {
        name: open_channel(f"127.0.0.1:{running.services[name].port}", health_name=health, retries=retries)
        for name, health in _HEALTH.items()
        if name in running.services
    }
    ports = running.services
    try:
        yield Mesh(
            channels,
            simulator=ports["simulator"].port,
            metrics=ports["providers"].metrics_port,
            port=ports["router"].port if "router" in ports else 0,
            http=ports["router"].http_port if "router" in ports else 0,
            router_metrics=ports["router"].metrics_port if "router" in ports else 0,
        )
    finally:
        for channel in channels.values():
            await channel.close()


@asynccontextmanager
async def as_four_processes(state: Path, **more: str) -> AsyncIterator[Mesh]:
    """Four processes, connected."""
    async with started(state, **more) as running, connected(running) as mesh:
        yield mesh


@asynccontextmanager
async def connected_to(port: int) -> AsyncIterator[Mesh]:
    """A router alone, without its simulator's books."""
    channel = open_channel(f"127.0.0.1:{port}", health_name=_HEALTH["router"])
    try:
        yield Mesh({"router": channel}, simulator=0, metrics=0)
    finally:
        await channel.close()


def asking(*texts: str) -> chat_pb2.Conversation:
    """A conversation of questions and answers in turn; the last text is the question."""
    conversation = chat_pb2.Conversation()
    for place, text in enumerate(texts):
        asks = (len(texts) - 1 - place) % 2 == 0
        role = chat_pb2.ROLE_USER if asks else chat_pb2.ROLE_ASSISTANT
        conversation.messages.add(role=role, parts=[chat_pb2.Part(text=text)])
    return conversation


def text_of(message: chat_pb2.Message) -> str:
    """The text of an answer."""
    return "".join(part.text for part in message.parts)
