"""Servers under load: started, found by the line that names their port, their CPU read, ended."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

_READY_SECONDS = 90.0
_PORT = re.compile(r"listening on (\d+)")


class BenchError(Exception):
    """The bench cannot run; the text says why."""


@dataclass(slots=True)
class Started:
    """One server process."""

    process: subprocess.Popen[bytes]
    output: Path
    port: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Servers:
    """All that a bench started; ended together, by pid, children with their parents."""

    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="omnisphere-bench-")))
    started: list[Started] = field(default_factory=list)
    ever: int = 0

    def start(self, command: Sequence[str], environ: Mapping[str, str], *, cwd: Path | None = None) -> Started:
        """Start it, in a process group of its own."""
        self.ever += 1
        output = self.folder / f"{self.ever}.log"
        with output.open("wb") as out:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(environ),
                cwd=cwd,
                start_new_session=True,
                restore_signals=False,  # as here, SIGPIPE ends none of them when a caller hangs up
            )
        server = Started(process, output, seconds=time.monotonic())
        self.started.append(server)
        return server

    def python(self, module: str, *arguments: str, environ: Mapping[str, str]) -> Started:
        """Start a module of ours that prints "listening on PORT", and wait for the line."""
        server = self.start([sys.executable, "-m", module, *arguments], environ)
        server.port = int(said(server, _PORT))
        return server

    def stop(self, since: int = 0) -> None:
        """End those that were started since there were so many: SIGTERM to each group, SIGKILL after ten seconds."""
        ending = self.started[since:]
        for server in reversed(ending):
            _signal(server.process, signal.SIGTERM)
        for server in reversed(ending):
            try:
                server.process.wait(10)
            except subprocess.TimeoutExpired:
                _signal(server.process, signal.SIGKILL)
                server.process.wait()
        del self.started[since:]

    def close(self) -> None:
        """End all, and remove their files."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def said(server: Started, pattern: re.Pattern[str]) -> str:
    """The first group of `pattern` once the server has printed it. Raises BenchError with its last line."""
    ends = time.monotonic() + _READY_SECONDS
    while time.monotonic() < ends:
        text = server.output.read_text(errors="replace")
        if found := pattern.search(text):
            server.seconds = time.monotonic() - server.seconds
            return found.group(1)
        if server.process.poll() is not None:
            break
        time.sleep(0.02)
    lines = server.output.read_text(errors="replace").splitlines()
    raise BenchError(f"{server.process.args!r} is not ready: {lines[-1] if lines else 'it said nothing'}")


def cpu_seconds(pids: Sequence[int]) -> float:
    """The CPU time that these processes have taken so far, all threads together (/proc/PID/task/*/schedstat)."""
    total = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            with suppress(FileNotFoundError, ProcessLookupError):  # the thread ended between the two looks
                total += int(task.read_text().split()[0])
    return total / 1e9


def family(pid: int) -> list[int]:
    """The process and all that it started."""
    found = [pid]
    for mine in found:
        for task in Path(f"/proc/{mine}/task").glob("*/children"):
            found.extend(int(child) for child in task.read_text().split())
    return found


def resident_mb(pids: Sequence[int]) -> float:
    """Resident memory of these processes, in MB."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1])
    return round(total / 1024, 1)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        os.killpg(process.pid, number)
