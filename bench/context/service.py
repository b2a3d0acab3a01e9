"""A context service of the bench's own, over gRPC on loopback, and what its answers say."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from prometheus_client import CollectorRegistry

from bench.context.data import rendered
from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from omnisphere.context.v1 import context_service_pb2_grpc as rpc
from services.chassis.client import open_channel
from services.chassis.logs import Log
from services.chassis.server import Server
from services.context.server import build
from services.context.settings import load

# Its vocabulary is o200k_base, so that the budgets are those of the handbook's figures.
MODEL = "gpt-5"
_SECONDS = 60.0
_PAUSE = 0.05


class Context:
    """The service, and short ways to ask it."""

    def __init__(self, stub: rpc.ContextServiceStub) -> None:
        self._stub: Any = stub

    async def fit(
        self, messages: Sequence[chat.Message], budget: int, policy: pb.FitPolicy.ValueType = pb.FIT_POLICY_UNSPECIFIED
    ) -> pb.FitResponse:
        """Fit to a budget of input tokens."""
        request = pb.FitRequest(
            conversation=chat.Conversation(messages=messages),
            model=MODEL,
            window_tokens=budget + 1,
            reserved_output_tokens=1,
            policy=policy,
        )
        response: pb.FitResponse = await self._stub.Fit(request, timeout=_SECONDS)
        return response

    async def warm(self, messages: Sequence[chat.Message], budget: int) -> None:
        """Fit again and again until nothing is pending any more."""
        for _ in range(int(_SECONDS / _PAUSE)):
            if not (await self.fit(messages, budget)).degradations:
                return
            await asyncio.sleep(_PAUSE)
        raise TimeoutError("vectors are still pending")


@asynccontextmanager
async def running(**settings: str) -> AsyncIterator[Context]:
    """A service of its own. `settings` are variables without their prefix."""
    with TemporaryDirectory() as state:
        environ = {
            "OMNISPHERE_STATE": str(Path(state)),
            "OMNISPHERE_CONTEXT_PORT": "0",
            "OMNISPHERE_CONTEXT_METRICS_PORT": "-1",
            "OMNISPHERE_CONTEXT_DRAIN": "1ms",
            **{f"OMNISPHERE_CONTEXT_{name.upper()}": value for name, value in settings.items()},
        }
        loaded = load(environ)
        log, registry = Log("context", stream=io.StringIO()), CollectorRegistry()
        server = Server(build(loaded, log, registry), loaded, log=log, registry=registry)
        await server.start()
        try:
            name = "omnisphere.context.v1.ContextService"
            async with open_channel(f"127.0.0.1:{server.port}", health_name=name) as channel:
                yield Context(rpc.ContextServiceStub(channel))
        finally:
            await server.drain_and_stop()


def shown(response: pb.FitResponse, ids: Sequence[str]) -> list[dict[str, Any]]:
    """The messages of a response as rows: role, text, and the ids of the given messages that stand in each.

    `ids`: one per message of the request.
    """
    blocks = {block.message: list(block.source_messages) for block in response.blocks}
    whole = [
        decision.first_message + number
        for decision in response.decisions
        if decision.kept and decision.reason != pb.UnitDecision.REASON_RETRIEVED
        for number in range(decision.messages)
    ]
    as_given = iter(whole)
    rows = []
    for place, message in enumerate(response.messages):
        sources = blocks[place] if place in blocks else [next(as_given)]
        role = chat.Role.Name(message.role).removeprefix("ROLE_").lower()
        rows.append({"role": role, "text": rendered(message), "source_ids": [ids[source] for source in sources]})
    return rows
