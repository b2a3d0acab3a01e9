"""The command's connection to a router: a running one, or one that is started for the call."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1.router_service_pb2_grpc import RouterServiceStub
from services.chassis.client import open_channel
from services.chassis.errors import from_rpc_error
from services.chassis.logs import Log
from services.chassis.server_settings import MOST_PORT
from services.chassis.settings import StartError, state_directory
from services.together import one_process

if TYPE_CHECKING:  # only the type stubs know this name
    from omnisphere.router.v1.router_service_pb2_grpc import RouterServiceAsyncStub

# Which router the commands ask where --router does not say.
ROUTER_VARIABLE = "OMNISPHERE_ROUTER"
HEALTH_NAME = "omnisphere.router.v1.RouterService"
_DIAL_SECONDS, _FAR_DIAL_SECONDS = 0.5, 5.0
_ADDRESS = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")
_HERE = ("127.0.0.1", "localhost", "::1")


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[RouterServiceAsyncStub]:
    """A stub for the router at host:port. Errors of calls come out as ServiceError."""
    channel = open_channel(address, health_name=HEALTH_NAME)
    try:
        yield RouterServiceStub(channel)
    except grpc.aio.AioRpcError as failure:
        raise from_rpc_error(failure, peer="router") from failure
    finally:
        await channel.close()


@asynccontextmanager
async def reached(address: str, environ: Mapping[str, str]) -> AsyncIterator[tuple[RouterServiceAsyncStub, bool]]:
    """(a stub, whether a mesh was started for it): the router at `address`, else one in this process.

    Raises StartError as answers().
    """
    if await answers(address):
        async with connected(address) as stub:
            yield stub, False
        return
    own = {"PORT": "0", "METRICS_PORT": "-1", "HTTP_PORT": "-1", "DRAIN": "0s"}
    free = {f"OMNISPHERE_ROUTER_{name}": value for name, value in own.items()}
    settings = one_process.load({**environ, **free})
    # The lines of its ledgers are written whatever the level; between the lines of an answer they are of no use.
    with log_file(environ).open("a", encoding="utf-8") as out:
        mesh = one_process.OneProcess(settings, Log("omnisphere", level="error", stream=out))
        await mesh.start()
        try:
            async with connected(f"127.0.0.1:{mesh.port}") as stub:
                yield stub, True
        finally:
            await mesh.stop()


def conversation(text: str, system: str = "") -> chat_pb2.Conversation:
    """One question, and instructions where there are any."""
    said = chat_pb2.Conversation()
    if system:
        said.messages.add(role=chat_pb2.ROLE_SYSTEM, parts=[chat_pb2.Part(text=system)])
    said.messages.add(role=chat_pb2.ROLE_USER, parts=[chat_pb2.Part(text=text)])
    return said


def log_file(environ: Mapping[str, str]) -> Path:
    """Where the lines of a mesh in this process go. Raises StartError where nothing can be written."""
    path = state_directory(environ) / "logs" / "omnisphere.log"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    except OSError as failure:
        raise StartError(f"{path}: cannot be written: {failure.strerror} (OMNISPHERE_STATE)") from failure
    return path


async def answers(address: str) -> bool:
    """Whether anybody takes connections at host:port.

    Raises StartError for what is no address, and where nobody does on another machine: what somebody means to ask there
    is not answered, nor paid for, here.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or int(match["port"]) > MOST_PORT:
        raise StartError(f"--router: {address!r} is not host:port")
    host = match["host"].strip("[]")
    try:
        async with asyncio.timeout(_DIAL_SECONDS if host in _HERE else _FAR_DIAL_SECONDS):
            _, writer = await asyncio.open_connection(host, int(match["port"]))
    except (OSError, TimeoutError) as failure:
        if host not in _HERE:
            raise StartError(f"--router: nobody answers at {address}") from failure
        return False
    writer.close()
    return True
