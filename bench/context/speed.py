"""How much CPU a Fit takes beside a bare gRPC echo of the same bytes, and how long a cold one takes."""

from __future__ import annotations

import asyncio
import re
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import grpc

from bench.context.data import Conversation, message_of
from bench.context.service import MODEL
from bench.mesh.processes import Servers, cpu_seconds, said
from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from omnisphere.context.v1 import context_service_pb2_grpc as rpc
from omnisphere.router.v1 import router_service_pb2 as router_pb
from omnisphere.router.v1 import router_service_pb2_grpc as router_rpc
from services.chassis.settings import environment

_PORT = re.compile(r'"port":(\d+)')
_WINDOW = 8_000
_ROUNDS, _TURNS = 8, 6
_TOKENS = 25_000


async def run_speed(conversations: Sequence[Conversation]) -> dict[str, Any]:
    """Figures of a conversation of about 25,000 tokens that grows by a turn at each request."""
    messages = [message_of(turn, conversation) for conversation in conversations for turn in conversation.turns]
    servers = Servers()
    try:
        environ = {"PATH": environment().get("PATH", ""), "PYTHONPATH": environment().get("PYTHONPATH", "")}
        environ |= {"OMNISPHERE_STATE": str(servers.folder), "OMNISPHERE_CONTEXT_PORT": "0"}
        started = servers.start(
            [sys.executable, "-m", "services.context"], environ | {"OMNISPHERE_CONTEXT_METRICS_PORT": "-1"}
        )
        started.port = int(said(started, _PORT))
        async with grpc.aio.insecure_channel(f"127.0.0.1:{started.port}", options=_LARGE) as channel:
            stub: Any = rpc.ContextServiceStub(channel)
            await stub.Fit(_request(messages[:9]))  # the encoding and the embedder are loaded
            found = await _cold(stub, messages)
            answer = servers.folder / "answer"
            whole = await stub.Fit(_request(_grown(messages, _ROUNDS * _TURNS)))
            answer.write_bytes(_as_large_as(whole.ByteSize()))
            echo = servers.python("bench.mesh.echo", "--answer", str(answer), environ=environ)
            async with grpc.aio.insecure_channel(f"127.0.0.1:{echo.port}", options=_LARGE) as plain:
                pids = (started.process.pid, echo.process.pid)
                found |= await _beside(stub, router_rpc.RouterServiceStub(plain), messages, pids)
    finally:
        servers.close()
    return found


async def _cold(stub: Any, messages: Sequence[chat.Message]) -> dict[str, Any]:  # noqa: ANN401 - a stub of gRPC
    """The first answer of a conversation that nobody saw before, and when its vectors are there."""
    request = _request([*_grown(messages, 0), _said("When did we talk about the support group?")])
    began = time.perf_counter()
    response = await stub.Fit(request)
    first = time.perf_counter() - began
    pending = bool(response.degradations)
    while response.degradations:
        await asyncio.sleep(0.05)
        response = await stub.Fit(request)
    return {
        "tokens": response.before.estimate,
        "messages": len(request.conversation.messages),
        "cold_ms": round(1e3 * first, 1),
        "cold_was_by_words_alone": pending,
        "vectors_after_s": round(time.perf_counter() - began, 2),
    }


async def _beside(stub: Any, echo: Any, messages: Sequence[chat.Message], pids: tuple[int, int]) -> dict[str, Any]:  # noqa: ANN401
    """Rounds of requests to each in turn; the vectors of all turns are there already."""
    await stub.Fit(_request(messages[: len(_grown(messages, _ROUNDS * _TURNS))]))
    await stub.Fit(_request(_grown(messages, 0)))
    ratios, fits, echoes = [], [], []
    for round_ in range(_ROUNDS):
        requests = [_request(_grown(messages, round_ * _TURNS + turn + 1)) for turn in range(_TURNS)]
        plain = [router_pb.CompleteRequest(conversation=request.conversation) for request in requests]
        fits.append(await _cpu(pids[0], stub.Fit, requests))
        echoes.append(await _cpu(pids[1], echo.Complete, plain))
        ratios.append(fits[-1] / echoes[-1])
    return {
        "warm_cpu_ms": round(1e3 * statistics.median(fits), 2),
        "echo_cpu_ms": round(1e3 * statistics.median(echoes), 2),
        "warm_cpu_vs_echo": round(statistics.median(ratios), 1),
    }


async def _cpu(pid: int, call: Callable[[Any], Awaitable[Any]], requests: Sequence[Any]) -> float:
    """CPU seconds of the server per request."""
    before = cpu_seconds([pid])
    for request in requests:
        await call(request)
    await asyncio.sleep(0.3)  # work behind the answers belongs to them
    return (cpu_seconds([pid]) - before) / len(requests)


def _grown(messages: Sequence[chat.Message], turns: int) -> list[chat.Message]:
    """The messages up to a turn of the person, `turns` of them beyond about 25,000 tokens."""
    size, end = 0, 0
    while size < _TOKENS * 4:
        size += len(messages[end].parts[0].text) + 8
        end += 1
    asked = [place for place in range(end, len(messages)) if messages[place].role == chat.ROLE_USER]
    return list(messages[: asked[turns] + 1])


def _request(messages: Sequence[chat.Message]) -> pb.FitRequest:
    conversation = chat.Conversation(messages=messages)
    return pb.FitRequest(conversation=conversation, model=MODEL, window_tokens=_WINDOW + 1, reserved_output_tokens=1)


def _said(text: str) -> chat.Message:
    return chat.Message(role=chat.ROLE_USER, parts=[chat.Part(text=text)])


def _as_large_as(size: int) -> bytes:
    """An answer of the router of about so many bytes."""
    answer = router_pb.CompleteResponse()
    answer.message.parts.add(text="x" * size)
    return answer.SerializeToString()


_LARGE = [("grpc.max_receive_message_length", 32 << 20), ("grpc.max_send_message_length", 32 << 20)]
