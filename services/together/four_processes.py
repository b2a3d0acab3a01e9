"""All services as processes of their own, started in order, stopped in reverse; for laptops, the demo and tests."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from services.chassis.run import PARENT_VARIABLE
from services.chassis.settings import StartError

_READY_SECONDS = 20.0
_STOP_SECONDS = 30.0
_LOOK_SECONDS = 0.02


@dataclass(slots=True)
class Running:
    """One started service. `port`, `metrics_port` and `http_port` are where it listens; 0: nowhere."""

    name: str
    process: asyncio.subprocess.Process
    log: Path
    environ: Mapping[str, str]
    port: int = 0
    metrics_port: int = 0
    http_port: int = 0


class FourProcesses:
    """A mesh of four processes, and a simulator beside it where one is wanted.

    `environ` is what every process gets; ports that it does not name are free ones. Logs go to `logs`, a file each.
    """

    def __init__(self, environ: Mapping[str, str], *, logs: Path, simulator: bool) -> None:
        self._environ = dict(environ)
        self._logs = logs
        self._with_simulator = simulator
        self.services: dict[str, Running] = {}
        self._stopped: dict[str, Running] = {}

    async def start(self) -> None:
        """Start all, peers before those that call them. Raises StartError with the line of the one that failed."""
        self._logs.mkdir(parents=True, exist_ok=True)
        try:
            if self._with_simulator:
                simulator = await self._start("simulator", {})
                self._environ["OMNISPHERE_SIMULATOR_URL"] = f"http://127.0.0.1:{simulator.port}"
            await asyncio.gather(*(self._start(name, {}) for name in ("cache", "providers")))
            await self._start(
                "context", {"OMNISPHERE_CONTEXT_PROVIDERS": f"127.0.0.1:{self.services['providers'].port}"}
            )
            peers = ("cache", "context", "providers")
            targets = {f"OMNISPHERE_ROUTER_{name.upper()}": f"127.0.0.1:{self.services[name].port}" for name in peers}
            await self._start("router", targets)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """SIGTERM to all, the router first; what does not end in time is killed."""
        order = ("router", "context", "providers", "cache", "simulator")
        for name in order:
            if name in self.services:
                _terminate(self.services[name].process)
        for name in order:
            if name in self.services:
                await _ended(self.services.pop(name).process)

    async def restart(self, name: str) -> None:
        """SIGTERM, wait for the end, start again on the same ports."""
        await self.stop_one(name)
        await self.start_again(name)

    async def stop_one(self, name: str) -> None:
        """SIGTERM, and wait for the end. Raises StartError when it ends with another code than 0."""
        running = self.services.pop(name)
        self._stopped[name] = running
        _terminate(running.process)
        if await _ended(running.process) != 0:
            raise StartError(f"{name} did not end as it should; see {running.log}")

    async def start_again(self, name: str) -> Running:
        """Start what was stopped, on the same ports."""
        old = self._stopped.pop(name)
        return await self._start(name, {**old.environ, **_ports(name, old.port, old.metrics_port, old.http_port or -1)})

    async def kill(self, name: str) -> None:
        """SIGKILL: no drain, no flush."""
        running = self.services.pop(name)
        running.process.kill()
        await _ended(running.process)

    async def _start(self, name: str, more: Mapping[str, str]) -> Running:
        environ = {**_ports(name), **self._environ, **more, PARENT_VARIABLE: str(os.getpid())}
        path = self._logs / f"{name}.log"
        seen = path.stat().st_size if path.exists() else 0
        with path.open("ab") as out:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"services.{name}",
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env=environ,
            )
        running = Running(name, process, path, more)
        self.services[name] = running
        await self._ready(running, seen)
        return running

    async def _ready(self, running: Running, seen: int) -> None:
        """Wait for the line that says where it listens."""
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await self._said_ready(running, seen)
        except TimeoutError as failure:
            raise StartError(
                f"{running.name} is not ready after {_READY_SECONDS:.0f} s; see {running.log}"
            ) from failure

    async def _said_ready(self, running: Running, seen: int) -> None:
        while True:  # a log file has no event to wait for
            lines = running.log.read_bytes()[seen:].decode(errors="replace").splitlines()
            for line in lines:
                if '"event":"ready"' in line:
                    said = json.loads(line)
                    running.port, running.metrics_port = said["port"], said.get("metrics_port", 0)
                    running.http_port = said.get("http_port", 0)
                    return
            if running.process.returncode is not None:
                raise StartError(lines[-1] if lines else f"{running.name} ended without a word")
            await asyncio.sleep(_LOOK_SECONDS)


def _ports(name: str, port: int = 0, metrics_port: int = 0, http_port: int = 0) -> dict[str, str]:
    prefix = f"OMNISPHERE_{name.upper()}"
    ports = {f"{prefix}_PORT": str(port)}
    if name != "simulator":
        ports[f"{prefix}_METRICS_PORT"] = str(metrics_port)
    if name == "router":
        ports[f"{prefix}_HTTP_PORT"] = str(http_port)
    return ports


def _terminate(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)


async def _ended(process: asyncio.subprocess.Process) -> int:
    """Its exit code; killed when it takes too long."""
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            return await process.wait()
    except TimeoutError:
        process.kill()
        return await process.wait()
