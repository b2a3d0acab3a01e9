"""Load with h2load (Debian: nghttp2-client): one window after the other, each told as one row.

h2load does not read grpc-status. So every path is verified by a client before it is measured, and a window whose
answers are shorter than the verified one is an error: a failed call has no body.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import Message

from bench.mesh.processes import BenchError, cpu_seconds

GRPC_HEADERS = ("content-type: application/grpc", "te: trailers")
JSON_HEADERS = ("content-type: application/json",)
# Answers differ by a few bytes (durations, ids); a call that failed has none at all.
_LEAST_SHARE = 0.97
_MOST_SECONDS = 120
_NUMBER = r"(\d+(?:\.\d+)?)"
_RATE = re.compile(rf"finished in [\d.]+\w+, {_NUMBER} req/s")
_REQUESTS = re.compile(
    r"requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout"
)
_CODES = re.compile(r"status codes: (\d+) 2xx, (\d+) 3xx, (\d+) 4xx, (\d+) 5xx")
_DATA = re.compile(r"\((\d+)\) data")


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked: a port, a route, a body, and the processes whose CPU counts.

    `answer_bytes` is the size of the verified answer's body. `tokens` is what one stream carries; 0: it is no stream.
    """

    name: str
    port: int
    route: str
    body: bytes
    pids: Sequence[int]
    answer_bytes: int
    headers: tuple[str, ...] = GRPC_HEADERS
    http1: bool = False
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """What h2load said of one window. Latencies in microseconds, sorted."""

    requests: int
    rps: float
    data_bytes: int
    took_us: Sequence[int]


def framed(message: Message) -> bytes:
    """A message as gRPC sends it: not compressed, its length, itself."""
    data = message.SerializeToString()
    return b"\0" + len(data).to_bytes(4, "big") + data


def available() -> bool:
    """Whether h2load is on this machine."""
    return shutil.which("h2load") is not None


def read(said: str, log: str) -> Told:
    """Reads h2load's summary and its log of requests. Raises BenchError where one request was not answered with 2xx."""
    rate, requests, codes, data = (pattern.search(said) for pattern in (_RATE, _REQUESTS, _CODES, _DATA))
    if rate is None or requests is None or codes is None or data is None:
        raise BenchError(f"h2load said {said[-300:]!r}")
    done, succeeded, *failed = map(int, requests.groups())
    good, *other = map(int, codes.groups())
    rows = [line.split("\t") for line in log.splitlines()]
    # When time is up, heads may have come whose bodies have not: more codes than answers.
    if not done or any(failed) or any(other) or good < done or not done == succeeded == len(rows):
        raise BenchError(f"not every request was answered: {requests.group(0)}; {codes.group(0)}")
    took = sorted(int(row[2]) for row in rows)
    return Told(done, float(rate.group(1)), int(data.group(1)), took)


def windows(
    path: str, targets: Sequence[Target], *, at_once: int, seconds: float, rounds: int
) -> Iterator[dict[str, object]]:
    """A B A B: every target in turn, `rounds` times, a row each.

    A first second, not counted, warms up and says how many requests fill a window; for streams a small number of them
    does. A window is a number of requests, not a time: so no request is cut off whose CPU was spent.
    """
    counts: dict[str, int] = {}
    for target in targets:
        rate = _run(target, at_once, ["-n", str(2 * at_once)] if target.tokens else ["-D", "1s"])[0].rps
        counts[target.name] = max(2, round(rate * seconds / at_once)) * at_once
    for number in range(rounds):
        for target in targets:
            told, cpu_us = _run(target, at_once, ["-n", str(counts[target.name])])
            yield {"target": target.name, "path": path, "at_once": at_once, "round": number} | _row(
                told, cpu_us, target.tokens
            )


def _row(told: Told, cpu_us: float, tokens: int) -> dict[str, object]:
    row: dict[str, object] = {
        "requests": told.requests,
        "seconds": round(told.requests / told.rps, 3),
        "rps": told.rps,
        "p50": statistics.median(told.took_us),
        "p99": told.took_us[int(len(told.took_us) * 0.99)],
        "cpu_us": round(cpu_us, 1),
    }
    return row | {"tokens": tokens} if tokens else row


def _run(target: Target, at_once: int, size: Sequence[str]) -> tuple[Told, float]:
    """One window, and the servers' CPU per request. gRPC: one connection with `at_once` streams; HTTP/1.1: that many
    connections."""
    with tempfile.TemporaryDirectory() as folder:
        body, log = Path(folder) / "body", Path(folder) / "log"
        body.write_bytes(target.body)
        command = ["h2load", *size, "-d", str(body), f"--log-file={log}"]
        command += ["--h1", "-c", str(at_once)] if target.http1 else ["-c", "1", "-m", str(at_once)]
        for header in target.headers:
            command += ["-H", header]
        command.append(f"http://127.0.0.1:{target.port}{target.route}")
        before = cpu_seconds(target.pids)
        try:
            ran = subprocess.run(command, capture_output=True, text=True, timeout=_MOST_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise BenchError(f"{target.name}: a window did not end in {_MOST_SECONDS} s") from None
        spent = cpu_seconds(target.pids) - before
        try:
            told = read(ran.stdout, log.read_text() if log.exists() else "")
        except BenchError as failure:
            raise BenchError(f"{target.name}: {failure}") from failure
    if told.data_bytes < told.requests * target.answer_bytes * _LEAST_SHARE:
        raise BenchError(
            f"{target.name}: answers of {told.data_bytes / told.requests:.0f} bytes, not of {target.answer_bytes}"
        )
    return told, spent / told.requests * 1e6
