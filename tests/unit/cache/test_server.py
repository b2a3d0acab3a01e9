"""The service on a real server: over the wire, over a restart, and with what it does not serve yet."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from prometheus_client import CollectorRegistry

from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.cache.v1 import cache_service_pb2_grpc as rpc
from services.cache.server import build
from services.cache.settings import CacheSettings
from services.chassis.client import open_channel
from services.chassis.errors import from_rpc_error
from services.chassis.identity import TENANT_KEY
from services.chassis.logs import Log
from services.chassis.server import Server
from tests.unit.cache.samples import query, reply


@asynccontextmanager
async def serving(
    state: Path, *, persist: bool = True, lines: io.StringIO | None = None
) -> AsyncIterator[rpc.CacheServiceAsyncStub]:
    settings = CacheSettings(
        port=0, metrics_port=-1, drain=timedelta(0), grace=timedelta(seconds=1), state=state, persist=persist
    )
    log, registry = Log("cache", stream=lines or io.StringIO()), CollectorRegistry()
    service = build(settings, log, registry)
    server = Server(service, settings, log=log, registry=registry)
    await server.start()
    channel = open_channel(f"127.0.0.1:{server.port}", health_name=service.servicers[0].full_name)
    try:
        yield rpc.CacheServiceStub(channel)
    finally:
        await channel.close()
        await server.drain_and_stop()


def test_building_touches_no_disk(tmp_path):
    settings = CacheSettings(state=tmp_path / "state")
    build(settings, Log("cache", stream=io.StringIO()), CollectorRegistry())
    assert list(tmp_path.iterdir()) == []


async def test_an_answer_goes_in_and_comes_out(tmp_path):
    async with serving(tmp_path) as stub:
        request = pb.LookUpRequest(query=query())
        assert (await stub.LookUp(request)).outcome == pb.CACHE_OUTCOME_MISS
        assert (await stub.Store(pb.StoreRequest(query=query(), reply=reply()))).stored
        found = await stub.LookUp(request)
        assert (found.outcome, found.reply) == (pb.CACHE_OUTCOME_EXACT_HIT, reply())
        foreign = await stub.LookUp(request, metadata=[(TENANT_KEY, "other")])
        assert foreign.outcome == pb.CACHE_OUTCOME_MISS
        assert (await stub.GetStats(pb.GetStatsRequest())).exact_hits == 1
        assert (await stub.Invalidate(pb.InvalidateRequest(entry_id=found.entry_id))).entries == 1
        assert (await stub.LookUp(request)).outcome == pb.CACHE_OUTCOME_MISS


async def test_answers_outlive_the_process_only_where_they_shall(tmp_path):
    for persist, outcome in ((True, pb.CACHE_OUTCOME_EXACT_HIT), (False, pb.CACHE_OUTCOME_MISS)):
        state = tmp_path / str(persist)
        async with serving(state, persist=persist) as stub:
            await stub.Store(pb.StoreRequest(query=query(), reply=reply()))
        async with serving(state, persist=persist) as stub:
            assert (await stub.LookUp(pb.LookUpRequest(query=query()))).outcome == outcome
        assert state.exists() == persist


async def test_a_corrupt_file_costs_a_warning_and_a_cold_start(tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "cache.sqlite").write_bytes(b"no database" * 500)
    lines = io.StringIO()
    async with serving(tmp_path, lines=lines) as stub:
        assert (await stub.LookUp(pb.LookUpRequest(query=query()))).outcome == pb.CACHE_OUTCOME_MISS
        await stub.Store(pb.StoreRequest(query=query(), reply=reply()))
    events = [json.loads(line)["event"] for line in lines.getvalue().splitlines()]
    assert events.count("cache_file_set_aside") == 1
    async with serving(tmp_path) as stub:
        assert (await stub.LookUp(pb.LookUpRequest(query=query()))).outcome == pb.CACHE_OUTCOME_EXACT_HIT


async def test_a_state_that_cannot_be_written_costs_a_warning(tmp_path):
    (tmp_path / "cache").write_text("in the way")
    lines = io.StringIO()
    async with serving(tmp_path, lines=lines) as stub:
        await stub.Store(pb.StoreRequest(query=query(), reply=reply()))
        assert (await stub.LookUp(pb.LookUpRequest(query=query()))).outcome == pb.CACHE_OUTCOME_EXACT_HIT
    assert [json.loads(line)["event"] for line in lines.getvalue().splitlines()].count("cache_storage_failed") == 1


async def test_a_request_that_is_not_valid_says_what_is_wrong(tmp_path):
    async with serving(tmp_path, persist=False) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.LookUp(pb.LookUpRequest())
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        error = from_rpc_error(caught.value, peer="cache")
        assert (error.reason(), error.metadata) == ("INVALID_REQUEST", {"field": "query", "problem": "is missing"})


async def test_callers_at_once_see_whole_answers(tmp_path):
    async with serving(tmp_path) as stub:

        async def one(number: int) -> bool:
            asked = query(f"question {number % 10}")
            await stub.Store(pb.StoreRequest(query=asked, reply=reply(f"answer {number % 10}")))
            found = await stub.LookUp(pb.LookUpRequest(query=asked))
            return found.reply.message.parts[0].text == f"answer {number % 10}"

        assert all(await asyncio.gather(*(one(number) for number in range(100))))
