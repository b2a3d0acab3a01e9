"""A real router face with scripted answers: what a whole mesh would have to be broken for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere.router.v1 import router_service_pb2_grpc as rpc

Events = Sequence[pb.StreamCompleteResponse]


class ScriptedRouter(rpc.RouterServiceServicer):
    """Fails the first `failures` calls of every method with UNAVAILABLE, then answers; counts the attempts.

    `stalls`: Complete and StreamComplete never end; `arrivals` counts the calls, `left` says that a
    caller gave up.
    """

    def __init__(
        self, *, failures: int = 0, events: Events = (), code: grpc.StatusCode | None = None, stalls: bool = False
    ) -> None:
        self._failures = failures
        self._events = events
        self._code = code
        self._stalls = stalls
        self.arrivals = asyncio.Semaphore(0)
        self.left = asyncio.Event()
        self.attempts: dict[str, int] = {}
        self.metadata: dict[str, str] = {}

    async def Complete(self, request: pb.CompleteRequest, context: Any) -> pb.CompleteResponse:
        await self._arrive("Complete", context)
        await self._stall()
        return pb.CompleteResponse()

    async def ListModels(self, request: pb.ListModelsRequest, context: Any) -> pb.ListModelsResponse:
        await self._arrive("ListModels", context)
        return pb.ListModelsResponse()

    async def GetUsage(self, request: pb.GetUsageRequest, context: Any) -> pb.GetUsageResponse:
        await self._arrive("GetUsage", context)
        return pb.GetUsageResponse(rows=[pb.UsageRow(keys=["gpt-5"], requests=2, cache_savings_nanousd=7)])

    async def Embed(self, request: pb.EmbedRequest, context: Any) -> pb.EmbedResponse:
        await self._arrive("Embed", context)
        return pb.EmbedResponse(embeddings=[pb.Embedding(values=[len(text), 0.5]) for text in request.texts])

    async def RecordFeedback(self, request: pb.RecordFeedbackRequest, context: Any) -> pb.RecordFeedbackResponse:
        await self._arrive("RecordFeedback", context)
        return pb.RecordFeedbackResponse()

    async def StreamComplete(self, request: pb.StreamCompleteRequest, context: Any) -> AsyncIterator[Any]:
        await self._arrive("StreamComplete", context)
        for event in self._events:
            yield event
        await self._stall()
        if self._code is not None:
            await context.abort(self._code, "as the script says")

    async def Explain(self, request: pb.ExplainRequest, context: Any) -> pb.ExplainResponse:
        await self._arrive("Explain", context)
        return pb.ExplainResponse()

    async def _stall(self) -> None:
        try:
            if self._stalls:
                await asyncio.get_running_loop().create_future()
        finally:
            self.left.set()

    async def _arrive(self, method: str, context: Any) -> None:
        self.attempts[method] = self.attempts.get(method, 0) + 1
        self.arrivals.release()
        self.metadata = dict(context.invocation_metadata())
        if self.attempts[method] <= self._failures:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "come back")


@asynccontextmanager
async def served(router: ScriptedRouter, *, credentials: grpc.ServerCredentials | None = None) -> AsyncIterator[str]:
    """host:port of a server with that face."""
    server = grpc.aio.server()
    rpc.add_RouterServiceServicer_to_server(router, server)
    where = "127.0.0.1:0"
    port = server.add_secure_port(where, credentials) if credentials else server.add_insecure_port(where)
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


def text(index: int, piece: str, *, part: int = 0) -> pb.StreamCompleteResponse:
    """A delta with a piece of text."""
    delta = chat_pb2.Delta(index=index, parts=[chat_pb2.PartDelta(part_index=part, text=piece)])
    return pb.StreamCompleteResponse(delta=delta)


def delta(*parts: chat_pb2.PartDelta) -> pb.StreamCompleteResponse:
    """A delta of any kind."""
    return pb.StreamCompleteResponse(delta=chat_pb2.Delta(parts=parts))


def end(reason: chat_pb2.FinishReason.ValueType = chat_pb2.FINISH_REASON_STOP) -> pb.StreamCompleteResponse:
    """The closing event."""
    made = pb.End(finish_reason=reason, cost=chat_pb2.Cost(nanousd=1_500, priced=True))
    made.decision.model = "gpt-5"
    return pb.StreamCompleteResponse(end=made)


def restart() -> pb.StreamCompleteResponse:
    """What came is void."""
    return pb.StreamCompleteResponse(restart=pb.Restart(reason="STREAM_INTERRUPTED", attempt=2))
