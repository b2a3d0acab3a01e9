"""CPU per look-up by meaning, resident memory and a restart at N entries, beside a bare echo; --large N ...

Vectors are random directions, made beforehand and handed in, so that embedding is no part of it. Half of the look-ups
are near one entry (cosine 0.9), with a text that differs in one word, so that rules and verifier have work; half are
near none. Windows alternate with the echo's; a ratio is the median over rounds. Then the process is stopped, as an
operator does it, and started anew: warm is when it finds the entry that was stored last by its meaning.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import grpc
import numpy as np
import numpy.typing as npt
import uvloop

from bench.cache.judge import query_of, reply_of
from bench.cache.process import SECONDS, CacheProcess, cache_process
from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.router.v1 import router_service_pb2 as router_pb
from omnisphere.router.v1.router_service_pb2_grpc import RouterServiceStub
from services.cache.check_request import written

_DIMENSION, _AT_ONCE, _ROUNDS, _CALLS = 384, 16, 5, 1_000
_COSINE = 0.9
_LETTERS = "abcdefghij"
Vectors = npt.NDArray[np.float32]


def measure(sizes: list[int]) -> int:
    """Print a line per size, and as the last line one JSON object."""
    found = {str(size): uvloop.run(_measured(size)) for size in sizes}
    for size, row in found.items():
        print(f"{int(size):>9,} entries: {row}")
    print(json.dumps(found))
    return 0


async def _measured(size: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="omnisphere-bench-") as folder:
        settings = {"most_entries": str(2 * size), "most_bytes": str(1 << 40), "log_level": "warning"}
        chance = np.random.default_rng(1)
        stored = chance.standard_normal((size, _DIMENSION), dtype=np.float32)
        stored /= np.linalg.norm(stored, axis=1, keepdims=True)
        async with cache_process(Path(folder), **settings) as cache:
            model_hash = await _model_hash(cache)
            store = cache.cpu_seconds()
            await _many(size, lambda number: _store(cache, number, stored[number], model_hash))
            store = cache.cpu_seconds() - store
            await asyncio.sleep(5 + size / 20_000)  # lists are trained, entries are written
            row = await _windows(cache, stored, model_hash)
            row |= {"store_cpu_us": round(store / size * 1e6), "rss_mb": round(cache.resident_mb())}
        return row | await _restart(Path(folder), settings, stored[-1])


async def _restart(folder: Path, settings: dict[str, str], vector: Vectors) -> dict[str, float]:
    """Seconds until a new process finds the entry of the vector, which was stored last, by meaning; and its memory."""
    started = time.monotonic()
    async with cache_process(folder, **settings) as cache:
        request = pb.LookUpRequest(query=query_of("Is it there?"), embedding=written(vector, await _model_hash(cache)))
        while (await cache.stub.LookUp(request, timeout=SECONDS)).similarity < _COSINE:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        warm = time.monotonic() - started
        return {
            "warm_seconds": round(warm, 1),
            "warm_cpu_seconds": round(cache.cpu_seconds(), 1),
            "warm_rss_mb": round(cache.resident_mb()),
        }


async def _model_hash(cache: CacheProcess) -> str:
    """The hash of its model, once that is loaded."""
    while True:
        answer = await cache.stub.EmbedTexts(pb.EmbedTextsRequest(texts=["a"]), timeout=SECONDS)
        if found := answer.embeddings[0].model_hash:
            return found
        time.sleep(0.05)  # noqa: ASYNC251 - nothing else is to be done meanwhile


async def _windows(cache: CacheProcess, stored: Vectors, model_hash: str) -> dict[str, float]:
    """Alternating windows of look-ups and echoes: CPU per call, and the median ratio."""
    chance = np.random.default_rng(2)
    requests = [_look_up(chance, stored, model_hash, near=number % 2 == 0) for number in range(_CALLS)]
    answer = router_pb.CompleteResponse(message=reply_of("answer " * 20).message)
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(answer.SerializeToString())
        command = (sys.executable, "-m", "bench.mesh.echo", "--answer", file.name)
        echo = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        line = await echo.stdout.readline() if echo.stdout is not None else b"0"
    port = int(line.split()[-1])
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    other = RouterServiceStub(channel)
    beside = CacheProcess(cache.stub, echo.pid)
    ratios, ours = [], []
    try:
        for _ in range(_ROUNDS):
            mine = await _cpu(cache, lambda number: cache.stub.LookUp(requests[number], timeout=SECONDS))
            bare = await _cpu(beside, lambda _: other.Complete(router_pb.CompleteRequest(), timeout=SECONDS))
            ours.append(mine)
            ratios.append(mine / bare)
    finally:
        await channel.close()
        echo.kill()
        await echo.wait()
    return {"look_up_cpu_us": round(statistics.median(ours) * 1e6), "cpu_vs_echo": round(statistics.median(ratios), 2)}


async def _cpu(process: CacheProcess, call: Callable[[int], Awaitable[object]]) -> float:
    before = process.cpu_seconds()
    await _many(_CALLS, call)
    return (process.cpu_seconds() - before) / _CALLS


async def _many(count: int, call: Callable[[int], Awaitable[object]]) -> None:
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            await call(number)

    await asyncio.gather(*(caller() for _ in range(_AT_ONCE)))


def _text(number: int) -> str:
    return f"How do I {''.join(_LETTERS[int(digit)] for digit in str(number))} the handle of a wooden door at home?"


async def _store(cache: CacheProcess, number: int, vector: Vectors, model_hash: str) -> None:
    given = written(vector, model_hash)
    request = pb.StoreRequest(query=query_of(_text(number)), reply=reply_of("answer " * 20), embedding=given)
    await cache.stub.Store(request, timeout=SECONDS)


def _look_up(chance: np.random.Generator, stored: Vectors, model_hash: str, *, near: bool) -> pb.LookUpRequest:
    direction = chance.standard_normal(_DIMENSION).astype(np.float32)
    direction /= np.linalg.norm(direction)
    text = f"Where is number {os.urandom(4).hex()}?"
    if near:
        number = int(chance.integers(len(stored)))
        away = direction - (direction @ stored[number]) * stored[number]
        direction = _COSINE * stored[number] + (1 - _COSINE**2) ** 0.5 * away / np.linalg.norm(away)
        text = _text(number).replace("How do I", "How can I")
    return pb.LookUpRequest(query=query_of(text), embedding=written(direction, model_hash))
