"""The floor under the providers service: our server, answering with one message, with and without asking an upstream.

Everything that a call costs before and after the work on it is here (gRPC, our interceptor); with `--upstream` also the
bytes of an HTTP exchange, written once and read by a protocol that knows only where they end.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

import grpc
import uvloop
from prometheus_client import CollectorRegistry

from omnisphere.providers.v1 import providers_service_pb2 as pb
from services.chassis.logs import Log
from services.chassis.run import settle_memory
from services.chassis.server import Server, Service, Servicer
from services.providers.settings import load

_NAME = "omnisphere.providers.v1.ProvidersService"
_BODY = b'{"model":"gpt-mock","messages":[{"role":"user","content":"What is the capital of France?"}],"stream":false}'
_HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:%d\r\nuser-agent: omnisphere/0.1\r\naccept: */*\r\n"
    b"accept-encoding: identity\r\ncontent-type: application/json\r\n"
    b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00\r\ncontent-length: %d\r\n\r\n"
)


class _Answer(asyncio.Protocol):
    """Waits for as many bytes as the head of the answer names."""

    def begin(self, request: bytes, over: asyncio.Future[None]) -> None:
        self._came, self._over = b"", over
        self.transport.write(request)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._came += data
        head, found, body = self._came.partition(b"\r\n\r\n")
        if found and len(body) == int(head.lower().partition(b"content-length:")[2].split(b"\r")[0]):
            self._over.set_result(None)


class _Floor:
    """The same answer to everybody; `upstream` is asked before each, where it is not 0."""

    def __init__(self, answer: pb.GenerateResponse, upstream: int) -> None:
        self._answer = answer
        self._upstream = upstream
        self._request = _HEAD % (upstream, len(_BODY)) + _BODY
        self._idle: list[_Answer] = []

    async def generate(self, _request: pb.GenerateRequest, _context: object) -> pb.GenerateResponse:
        if self._upstream:
            await self._exchange()
        return self._answer

    async def _exchange(self) -> None:
        loop = asyncio.get_running_loop()
        if self._idle:
            connection = self._idle.pop()
        else:
            _, connection = await loop.create_connection(_Answer, "127.0.0.1", self._upstream)
        over: asyncio.Future[None] = loop.create_future()
        connection.begin(self._request, over)
        await over
        self._idle.append(connection)


def _add(floor: _Floor, server: grpc.aio.Server) -> None:
    handler = grpc.unary_unary_rpc_method_handler(
        floor.generate, pb.GenerateRequest.FromString, pb.GenerateResponse.SerializeToString
    )
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_NAME, {"Generate": handler}),))


async def _nothing() -> None:
    """There is nothing to start or to stop."""


async def _serve(answer: Path, upstream: int) -> None:
    floor = _Floor(pb.GenerateResponse.FromString(answer.read_bytes()), upstream)
    service = Service(
        name="providers",
        servicers=(Servicer(_NAME, floor, _add),),
        start=_nothing,
        stop=_nothing,
        conversation_methods=frozenset({"Generate"}),
    )
    settings = load({"OMNISPHERE_PROVIDERS_PORT": "0", "OMNISPHERE_PROVIDERS_METRICS_PORT": "0"})
    server = Server(service, settings, log=Log("floor"), registry=CollectorRegistry())
    await server.start()
    settle_memory()
    print(f"listening on {server.port}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answer", type=Path, required=True)
    parser.add_argument("--upstream", type=int, default=0)
    arguments = parser.parse_args()
    uvloop.run(_serve(arguments.answer, arguments.upstream))


if __name__ == "__main__":
    main()
