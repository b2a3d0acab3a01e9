"""Four processes before the simulator, which can be told to misbehave: the stage of benches that compare books."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import grpc

from services.chassis.client import open_channel
from services.together.four_processes import FourProcesses

_ROUTER = "omnisphere.router.v1.RouterService"


@asynccontextmanager
async def simulated(
    folder: Path, environ: Mapping[str, str], settings: Mapping[str, str]
) -> AsyncIterator[FourProcesses]:
    """The mesh, with state and logs in the folder; of the environment nothing that speaks to it but `settings`."""
    kept = {name: value for name, value in environ.items() if not name.startswith("OMNISPHERE_")}
    ours = {"OMNISPHERE_STATE": str(folder), "OMNISPHERE_SIMULATOR": "on", **settings}
    mesh = FourProcesses({**kept, **ours}, logs=folder / "logs", simulator=True)
    await mesh.start()
    try:
        yield mesh
    finally:
        await mesh.stop()


def channel_to(mesh: FourProcesses) -> grpc.aio.Channel:
    """A channel to the router that asks once."""
    return open_channel(f"127.0.0.1:{mesh.services['router'].port}", health_name=_ROUTER, retries=False)


async def page(port: int, path: str) -> str:
    """What a process says over HTTP."""

    def fetch() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
            return str(response.read().decode())

    return await asyncio.to_thread(fetch)


async def misbehave(simulator: int, fault: Mapping[str, object]) -> None:
    """Have the simulator at that port answer wrongly; a fault that names no model meets all."""
    headers = {"content-type": "application/json"}
    data = json.dumps({"model": "*", **fault}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{simulator}/faults", data, headers)
    await asyncio.to_thread(lambda: urllib.request.urlopen(request, timeout=5).close())  # noqa: S310 - loopback
