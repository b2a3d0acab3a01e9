"""A small service on a real server: what its methods do is handed in by the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
from prometheus_client import CollectorRegistry

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import providers_service_pb2 as pb
from omnisphere.providers.v1 import providers_service_pb2_grpc as rpc
from services.chassis.client import open_channel
from services.chassis.server import Server, Service, Servicer
from services.chassis.server_settings import ServerSettings
from tests.fakes.log import ReadableLog

NAME = "omnisphere.providers.v1.ProvidersService"
Unary = Callable[[pb.GenerateRequest], Awaitable[pb.GenerateResponse]]
Streaming = Callable[[pb.StreamGenerateRequest], AsyncIterator[pb.StreamGenerateResponse]]


async def _echo(request: pb.GenerateRequest) -> pb.GenerateResponse:
    return pb.GenerateResponse(message=chat_pb2.Message(name=request.generation.model))


async def _count(request: pb.StreamGenerateRequest) -> AsyncIterator[pb.StreamGenerateResponse]:
    for number in range(3):
        yield pb.StreamGenerateResponse(delta=chat_pb2.Delta(index=number))


class Tiny(rpc.ProvidersServiceServicer):
    """Generate echoes the model's name, StreamGenerate counts to three, unless the test says otherwise."""

    def __init__(self, *, unary: Unary = _echo, streaming: Streaming = _count) -> None:
        self._unary = unary
        self._streaming = streaming

    async def Generate(self, request: pb.GenerateRequest, context: Any) -> pb.GenerateResponse:
        return await self._unary(request)

    async def StreamGenerate(
        self, request: pb.StreamGenerateRequest, context: Any
    ) -> AsyncIterator[pb.StreamGenerateResponse]:
        async with aclosing(self._streaming(request)) as responses:  # type: ignore[type-var]
            async for response in responses:
                yield response

    async def GetAttempts(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def Embed(self, request: pb.EmbedRequest, context: Any) -> pb.EmbedResponse:
        raise NotImplementedError

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        raise NotImplementedError


@dataclass
class Serving:
    """A running tiny service."""

    stub: Any
    channel: grpc.aio.Channel
    server: Server
    log: ReadableLog
    registry: CollectorRegistry


def settings(**fields: Any) -> ServerSettings:
    """Settings for a server that lives for one test."""
    quick = {"metrics_port": -1, "drain": timedelta(0), "grace": timedelta(seconds=1)}
    return ServerSettings(**{**quick, **fields})


async def nothing() -> None:
    """A start or a stop with nothing to do."""


def service(tiny: Tiny) -> Service:
    """The tiny service as a wiring file would hand it to the server."""
    servicer = Servicer(NAME, tiny, rpc.add_ProvidersServiceServicer_to_server)
    return Service("tiny", (servicer,), nothing, nothing, frozenset({"Generate", "StreamGenerate"}))


@asynccontextmanager
async def serving(tiny: Tiny | None = None, **fields: Any) -> AsyncIterator[Serving]:
    """The tiny service on a free port, and a channel to it."""
    log, registry = ReadableLog("tiny"), CollectorRegistry()
    server = Server(service(tiny or Tiny()), settings(**fields), log=log, registry=registry)
    await server.start()
    channel = open_channel(f"127.0.0.1:{server.port}", health_name=NAME)
    try:
        yield Serving(rpc.ProvidersServiceStub(channel), channel, server, log, registry)
    finally:
        await channel.close()
        await server.drain_and_stop()
