"""Load with h2load (Debian: nghttp2-client): requests per second, latencies, and the servers' CPU per request.

h2load does not read grpc-status, so every path is verified once by a client before it is measured.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import Message

from bench.mesh.processes import BenchError, cpu_seconds

_RATE = re.compile(r"finished in [\d.]+\w+, ([\d.]+) req/s")
_DONE = re.compile(r"requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed")


@dataclass(frozen=True, slots=True)
class Run:
    """One window of load. Latencies in microseconds; `cpu_us` is server CPU per request."""

    rps: float
    p50_us: float
    p99_us: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked: a port, a path, a body, and the processes whose CPU counts."""

    name: str
    port: int
    path: str
    body: bytes
    pids: Sequence[int]
    headers: tuple[str, ...] = ("content-type: application/grpc", "te: trailers")
    http1: bool = False


def framed(message: Message) -> bytes:
    """A message as gRPC sends it: not compressed, its length, itself."""
    data = message.SerializeToString()
    return b"\0" + len(data).to_bytes(4, "big") + data


def available() -> bool:
    """Whether h2load is on this machine."""
    return shutil.which("h2load") is not None


def run(target: Target, *, at_once: int, seconds: int) -> Run:
    """One window. gRPC: one connection with `at_once` streams; HTTP/1.1: that many connections."""
    with tempfile.TemporaryDirectory() as folder:
        body, log = Path(folder) / "body", Path(folder) / "log"
        body.write_bytes(target.body)
        command = ["h2load", "-D", f"{seconds}s", "-d", str(body), f"--log-file={log}"]
        command += ["--h1", "-c", str(at_once)] if target.http1 else ["-c", "1", "-m", str(at_once)]
        for header in target.headers:
            command += ["-H", header]
        command.append(f"http://127.0.0.1:{target.port}{target.path}")
        before = cpu_seconds(target.pids)
        said = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False).stdout
        spent = cpu_seconds(target.pids) - before
        rows = [line.split("\t") for line in log.read_text().splitlines()]
    done = _DONE.search(said)
    rate = _RATE.search(said)
    if done is None or rate is None or int(done.group(3)) or not rows:
        raise BenchError(f"{target.name}: h2load said {said[-300:]!r}")
    took = sorted(int(row[2]) for row in rows)
    return Run(
        rps=float(rate.group(1)),
        p50_us=statistics.median(took),
        p99_us=took[int(len(took) * 0.99)],
        cpu_us=spent / len(rows) * 1e6,
    )


def alternated(targets: Sequence[Target], *, at_once: int, seconds: int, rounds: int) -> dict[str, Run]:
    """A B A B: every target in turn, `rounds` times; the median of each figure."""
    runs: dict[str, list[Run]] = {target.name: [] for target in targets}
    for _ in range(rounds):
        for target in targets:
            runs[target.name].append(run(target, at_once=at_once, seconds=seconds))
    return {name: _median(found) for name, found in runs.items()}


def _median(runs: Sequence[Run]) -> Run:
    return Run(*(statistics.median(getattr(run, name) for run in runs) for name in Run.__slots__))
