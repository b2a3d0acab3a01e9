"""A whole cache process killed while callers store: the next one starts, and has nothing torn or foreign.

`make chaos` does it a hundred times.
"""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import grpc
import pytest

from bench.cache.process import cache_process
from omnisphere.cache.v1 import cache_service_pb2 as pb
from tests.unit.cache.samples import query, reply

KILLS = int(os.environ.get("CACHE_KILLS", "5"))  # noqa: TID251
pytestmark = [pytest.mark.timeout(30 + 4 * KILLS), pytest.mark.slow]
QUIET = {"log_level": "warning", "semantic": "off"}
# A batch is written every tenth of a second: what was answered before that much time ago is on disk.
WRITTEN_SECONDS = 1.0


def text(kill: int, number: int) -> str:
    return f"question {kill} {number}"


async def test_what_was_written_before_the_kill_is_there_and_whole(tmp_path: Path):
    kept: list[str] = []
    for kill in range(KILLS):
        async with cache_process(tmp_path, **QUIET) as cache:
            before = (await cache.stub.GetStats(pb.GetStatsRequest())).entries
            assert before >= len(kept)
            for asked in kept[-20:]:
                found = await cache.stub.LookUp(pb.LookUpRequest(query=query(asked)))
                assert found.outcome == pb.CACHE_OUTCOME_EXACT_HIT
                assert found.reply == reply(f"re: {asked}")

            async def store(number: int, kill: int = kill, stub: object = cache.stub) -> str:
                asked = text(kill, number)
                await stub.Store(pb.StoreRequest(query=query(asked), reply=reply(f"re: {asked}")))  # type: ignore[attr-defined]
                return asked

            kept += await asyncio.gather(*(store(number) for number in range(50)))
            await asyncio.sleep(WRITTEN_SECONDS)
            writing = asyncio.gather(*(store(number) for number in range(50, 2_000)), return_exceptions=True)
            await asyncio.sleep(0.02 * (1 + kill % 5))
            os.kill(cache.pid, signal.SIGKILL)
            with suppress(grpc.RpcError):
                await writing
    assert not [name for name in os.listdir(tmp_path / "cache") if ".broken-" in name]  # noqa: PTH208
