"""Omnisphere under load: in one process and as four, with the upstream as its only model."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.mesh.processes import Servers, said
from bench.mesh.upstream import MODEL
from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb
from omnisphere.router.v1 import router_service_pb2 as pb
from services.together.four_processes import FourProcesses

COMPLETE = "/omnisphere.router.v1.RouterService/Complete"
STREAM = "/omnisphere.router.v1.RouterService/StreamComplete"
GENERATE = "/omnisphere.providers.v1.ProvidersService/Generate"
_MESSAGES, _WORDS = 20, 32
# What a ledger and logs cost is told by leaving them out.
BARE = {"OMNISPHERE_ROUTER_LEDGER": "off", "OMNISPHERE_PROVIDERS_LEDGER": "off"} | {
    f"OMNISPHERE_{name}_LOG_LEVEL": "warning" for name in ("ROUTER", "CACHE", "CONTEXT", "PROVIDERS")
}


@dataclass(frozen=True, slots=True)
class Running:
    """Where the router listens, and the processes whose CPU counts."""

    port: int
    http_port: int
    pids: tuple[int, ...]


def question(*, miss: bool = False) -> pb.CompleteRequest:
    """Twenty messages, about 1,000 tokens. `miss`: the cache is asked, may not answer, and stores what comes."""
    request = pb.CompleteRequest(model=MODEL)
    for at in range(_MESSAGES):
        role = chat_pb2.ROLE_USER if at % 2 == 0 else chat_pb2.ROLE_ASSISTANT
        text = " ".join(f"word{at}x{word}" for word in range(_WORDS))
        request.conversation.messages.add(role=role, parts=[chat_pb2.Part(text=text)])
    request.conversation.messages.add(role=chat_pb2.ROLE_USER, parts=[chat_pb2.Part(text="What is the capital?")])
    request.options.cache.no_cache = miss
    return request


def small() -> pb.CompleteRequest:
    """One short question."""
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, parts=[chat_pb2.Part(text="What is the capital of France?")])
    return pb.CompleteRequest(model=MODEL, conversation=chat_pb2.Conversation(messages=[message]))


def generation(model: str) -> providers_pb.Generation:
    """The same to the providers service."""
    return providers_pb.Generation(model=model, conversation=small().conversation, request_id="bench")


def streamed(model: str) -> pb.StreamCompleteRequest:
    """The same as a stream that the upstream has to answer."""
    request = question(miss=True)
    return pb.StreamCompleteRequest(model=model, conversation=request.conversation, options=request.options)


def chat_body(model: str, *, stream: bool = False) -> bytes:
    """The same as a chat completion of OpenAI's."""
    messages = [
        {"role": "user" if message.role == chat_pb2.ROLE_USER else "assistant", "content": message.parts[0].text}
        for message in question().conversation.messages
    ]
    how = {"stream": True} if stream else {}
    return json.dumps({"model": model, "messages": messages, **how}, separators=(",", ":")).encode()


def environment(base: Mapping[str, str], folder: Path, config: Path, **more: str) -> dict[str, str]:
    """Only the upstream answers; files live in `folder`; ports are free ones."""
    kept = {name: value for name, value in base.items() if not name.startswith("OMNISPHERE_")}
    return {
        **{name: value for name, value in kept.items() if not name.endswith("_API_KEY")},
        "OMNISPHERE_STATE": str(folder),
        "OMNISPHERE_SIMULATOR": "off",
        "OMNISPHERE_DISCOVER": "off",
        "OMNISPHERE_PROVIDERS_CONFIG": str(config),
        "OMNISPHERE_ROUTER_DRAIN": "0s",
        "COLUMNS": "200",
        **more,
    }


def one_process(servers: Servers, environ: Mapping[str, str]) -> Running:
    """`omnisphere up`, as a person starts it."""
    ports = {f"OMNISPHERE_ROUTER_{name}": "0" for name in ("PORT", "METRICS_PORT", "HTTP_PORT")}
    server = servers.start([sys.executable, "-m", "services.cli.main", "up"], {**environ, **ports})
    ready = re.compile(r"router \(gRPC\)\s+(127\.0\.0\.1:\d+\s+router \(HTTP\)\s+http://127\.0\.0\.1:\d+)/v1")
    port, http_port = re.findall(r"127\.0\.0\.1:(\d+)", said(server, ready))
    return Running(int(port), int(http_port), (server.process.pid,))


@asynccontextmanager
async def four_processes(environ: Mapping[str, str], folder: Path) -> AsyncIterator[tuple[Running, Running]]:
    """`omnisphere up --mesh`, and its providers service by itself."""
    mesh = FourProcesses(environ, logs=folder / "logs", simulator=False)
    await mesh.start()
    try:
        pids = tuple(running.process.pid for running in mesh.services.values())
        providers = mesh.services["providers"]
        yield (
            Running(mesh.services["router"].port, 0, pids),
            Running(providers.port, 0, (providers.process.pid,)),
        )
    finally:
        await mesh.stop()
