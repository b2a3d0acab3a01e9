"""The yardstick: a bare grpc.aio server on uvloop that decodes a request and answers with a message as large as ours.

One hop: it answers itself. Two hops: it asks another one, as the router asks the cache. Nothing else is in it: no
interceptor, no deadline, no log, no metric.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import uvloop

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere.router.v1 import router_service_pb2_grpc as rpc

_SERVICE = "omnisphere.router.v1.RouterService"


def _echo(answer: pb.CompleteResponse, tokens: int) -> grpc.GenericRpcHandler:
    """Answers every request with the same message; a stream with `tokens` deltas, one token each."""
    delta = pb.StreamCompleteResponse()
    delta.delta.parts.add(text=" token")
    last = pb.StreamCompleteResponse(end=pb.End(finish_reason=chat_pb2.FINISH_REASON_STOP))

    async def complete(_request: pb.CompleteRequest, _context: object) -> pb.CompleteResponse:
        return answer

    async def stream(_request: pb.StreamCompleteRequest, _context: object) -> AsyncIterator[pb.StreamCompleteResponse]:
        for _ in range(tokens):
            yield delta
        yield last

    return _handlers(complete, stream)


def _forward(channel: grpc.aio.Channel) -> grpc.GenericRpcHandler:
    """Hands every request to the echo behind it."""
    behind = rpc.RouterServiceStub(channel)

    async def complete(request: pb.CompleteRequest, _context: object) -> pb.CompleteResponse:
        answer: pb.CompleteResponse = await behind.Complete(request)
        return answer

    async def stream(request: pb.StreamCompleteRequest, _context: object) -> AsyncIterator[pb.StreamCompleteResponse]:
        async for event in behind.StreamComplete(request):
            yield event

    return _handlers(complete, stream)


def _handlers(complete: Any, stream: Any) -> grpc.GenericRpcHandler:
    return grpc.method_handlers_generic_handler(
        _SERVICE,
        {
            "Complete": grpc.unary_unary_rpc_method_handler(
                complete, pb.CompleteRequest.FromString, pb.CompleteResponse.SerializeToString
            ),
            "StreamComplete": grpc.unary_stream_rpc_method_handler(
                stream, pb.StreamCompleteRequest.FromString, pb.StreamCompleteResponse.SerializeToString
            ),
        },
    )


async def _serve(answer: Path, behind: str, tokens: int) -> None:
    if behind:
        handlers = _forward(grpc.aio.insecure_channel(behind))
    else:
        handlers = _echo(pb.CompleteResponse.FromString(answer.read_bytes()), tokens)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"listening on {port}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answer", type=Path, default=Path("/dev/null"))
    parser.add_argument("--behind", default="")
    parser.add_argument("--tokens", type=int, default=100)
    arguments = parser.parse_args()
    uvloop.run(_serve(arguments.answer, arguments.behind, arguments.tokens))


if __name__ == "__main__":
    main()
