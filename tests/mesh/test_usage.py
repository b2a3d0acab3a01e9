"""What was used and spent: three books that know nothing of each other agree, also on what was given up."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import InvalidRequest, NotFound, PeerUnavailable
from tests.mesh.conftest import TOPOLOGIES
from tests.mesh.harness import Mesh, asking
from tests.mesh.test_complete import until_hit

_SECONDS = 10.0


@pytest.fixture(params=list(TOPOLOGIES))
async def fresh(request: pytest.FixtureRequest, state: Path) -> AsyncIterator[Mesh]:
    """A mesh of the test's own, whose ledgers begin empty."""
    async with TOPOLOGIES[request.param](state) as mesh:
        yield mesh


async def usage(mesh: Mesh, *groups: pb.UsageGrouping.ValueType, tenant: str = "") -> list[pb.UsageRow]:
    response = await mesh.call(mesh.router.GetUsage, pb.GetUsageRequest(group_by=groups), tenant=tenant)
    return list(response.rows)


def ledger(state: Path, name: str) -> list[sqlite3.Row]:
    """The rows of a ledger's file."""
    connection = sqlite3.connect(state / "ledger" / f"{name}s.sqlite3")
    connection.row_factory = sqlite3.Row
    try:
        return list(connection.execute(f"SELECT * FROM {name}"))  # noqa: S608
    finally:
        connection.close()


async def until_ledger(state: Path, name: str, rows: int) -> list[sqlite3.Row]:
    """The rows, once there are so many."""
    for _ in range(int(_SECONDS / 0.05)):
        try:
            if len(found := ledger(state, name)) >= rows:
                return found
        except sqlite3.OperationalError:
            pass  # not there yet
        await asyncio.sleep(0.05)
    raise AssertionError(f"{name}: fewer than {rows} rows")


async def test_requests_attempts_and_the_upstreams_own_books_agree(fresh: Mesh, state: Path):
    for number in range(6):
        await fresh.complete(f"Usage question {number}: translate 'bread' into French.", tenant=f"t{number % 2}")
    await until_hit(fresh, "Usage question 0: translate 'bread' into French.", tenant="t0")
    requests = await until_ledger(state, "request", 7)
    attempts = await until_ledger(state, "attempt", 6)
    spent: Counter[str] = Counter()
    for row in requests:
        spent[row["model"]] += row["cost_nanousd"]
    booked: Counter[str] = Counter()
    for row in attempts:
        booked[row["model"]] += row["cost_nanousd"]
    assert spent == booked
    assert await fresh.book_differences() == []
    assert {row["request_id"] for row in attempts} <= {row["request_id"] for row in requests}
    totals = await usage(fresh, pb.USAGE_GROUPING_TENANT)
    assert [tuple(row.keys) for row in totals] == [("t0",), ("t1",)]
    assert sum(row.cost.nanousd for row in totals) == sum(booked.values())
    assert totals[0].cache_savings_nanousd > 0
    assert all(row.routing_savings_nanousd > 0 for row in totals)
    assert all(row.cost.priced for row in totals)


async def test_a_tenant_sees_its_own_usage_by_model_task_and_day(mesh: Mesh):
    await mesh.complete("Summarise in one sentence: usage is counted.", tenant="counted")
    await mesh.complete("Translate 'usage' into German.", tenant="counted")
    (total,) = await usage(mesh, tenant="counted")
    assert (total.requests, list(total.keys)) == (2, [])
    by_task = await usage(mesh, pb.USAGE_GROUPING_TASK, pb.USAGE_GROUPING_DAY, tenant="counted")
    assert [row.keys[0] for row in by_task] == ["summarization", "translation"]
    assert all(len(row.keys[1]) == len("2026-01-01") for row in by_task)
    assert sum(row.cost.nanousd for row in by_task) == total.cost.nanousd
    assert sum(row.usage.output_tokens for row in by_task) == total.usage.output_tokens > 0
    by_model = await usage(mesh, pb.USAGE_GROUPING_MODEL, tenant="counted")
    assert sum(row.requests for row in by_model) == 2
    assert await usage(mesh, tenant="nobody") == []


async def test_usage_is_bounded_by_time(mesh: Mesh):
    await mesh.complete("Translate 'time' into Dutch.", tenant="timed")
    for bounds, rows in (({"until": Timestamp(seconds=1)}, 0), ({"since": Timestamp(seconds=1)}, 1)):
        request = pb.GetUsageRequest(**bounds)  # type: ignore[arg-type]
        response = await mesh.call(mesh.router.GetUsage, request, tenant="timed")
        assert len(response.rows) == rows


async def test_the_command_shows_what_the_router_says(mesh: Mesh):
    await mesh.complete("Translate 'command' into Greek.")
    rows = await usage(mesh, pb.USAGE_GROUPING_TASK)
    arguments = ("usage", "--router", f"127.0.0.1:{mesh.port}", "--by", "task", "--json")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.cli.main", *arguments, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    shown = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 0
    assert [(row["task"], row["requests"], row["cost_nanousd"]) for row in shown] == [
        (row.keys[0], row.requests, row.cost.nanousd) for row in rows
    ]


@pytest.mark.parametrize(
    ("groups", "field"),
    [
        ([pb.USAGE_GROUPING_UNSPECIFIED], "group_by[0]"),
        ([pb.USAGE_GROUPING_DAY, pb.USAGE_GROUPING_DAY], "group_by[1]"),
    ],
)
async def test_groupings_that_make_no_sense_are_refused(mesh: Mesh, groups, field):
    with pytest.raises(InvalidRequest) as caught:
        await usage(mesh, *groups)
    assert caught.value.metadata["field"] == field


@pytest.mark.parametrize("moment", [{"seconds": 2**62}, {"seconds": -(2**62)}, {"seconds": 1, "nanos": -5}])
async def test_a_moment_that_is_none_is_refused(mesh: Mesh, moment: dict[str, int]):
    with pytest.raises(InvalidRequest) as caught:
        await mesh.call(mesh.router.GetUsage, pb.GetUsageRequest(until=Timestamp(**moment)))
    assert caught.value.metadata["field"] == "until"


async def test_a_time_that_ends_before_it_begins_is_refused(mesh: Mesh) -> None:
    asked = pb.GetUsageRequest(since=Timestamp(seconds=9), until=Timestamp(seconds=8))
    with pytest.raises(InvalidRequest) as caught:
        await mesh.call(mesh.router.GetUsage, asked)
    assert caught.value.metadata == {"field": "until", "problem": "is before since"}


async def test_what_a_caller_gave_up_is_booked_with_what_it_cost(fresh: Mesh, state: Path):
    await fresh.fault(kind="stall", after_chunks=3)
    request = pb.StreamCompleteRequest(conversation=asking("Translate 'patience' into French, at length."))
    call = fresh.router.StreamComplete(request, timeout=_SECONDS)
    async for event in call:
        if event.HasField("delta"):
            break
    call.cancel()
    (row,) = await until_ledger(state, "request", 1)
    (attempt,) = await until_ledger(state, "attempt", 1)
    assert (row["error"], attempt["outcome"]) == ("CANCELLED", "cancelled")
    assert (row["request_id"], row["cost_nanousd"]) == (attempt["request_id"], attempt["cost_nanousd"])
    assert row["cost_nanousd"] > 0
    assert row["estimated"] == attempt["estimated"] == 1
    await fresh.no_faults()


async def test_the_attempts_of_a_call_can_be_asked_for_afterwards(state: Path):
    async with TOPOLOGIES["four_processes"](state) as mesh:
        generation = providers_pb.Generation(
            model="gpt-5", conversation=asking("Who asks?"), request_id="r-1", call_id="c-1"
        )
        answered = await mesh.call(mesh.providers.Generate, providers_pb.GenerateRequest(generation=generation))
        asked = providers_pb.GetAttemptsRequest(call_id="c-1")
        remembered = await mesh.call(mesh.providers.GetAttempts, asked)
        foreign = await mesh.call(mesh.providers.GetAttempts, asked, tenant="another")
        assert list(remembered.attempts) == list(answered.end.attempts)
        assert list(foreign.attempts) == []
        assert (remembered.over, foreign.over) == (True, False)
        with pytest.raises(InvalidRequest):
            await mesh.call(mesh.providers.GetAttempts, providers_pb.GetAttemptsRequest())


def _without_a_ledgers_place(state: Path) -> None:
    state.mkdir(exist_ok=True)
    (state / "ledger").write_text("a file where the directory should be")


async def test_a_ledger_that_cannot_be_read_is_said(state: Path):
    _without_a_ledgers_place(state)
    async with TOPOLOGIES["one_process"](state) as mesh:
        await mesh.complete("Who reads the books?")
        with pytest.raises(PeerUnavailable) as caught:
            await mesh.call(mesh.router.GetUsage, pb.GetUsageRequest())
        assert caught.value.metadata["peer"] == "ledger"


async def test_a_mesh_without_a_ledger_says_so(state: Path):
    async with TOPOLOGIES["one_process"](
        state, OMNISPHERE_ROUTER_LEDGER="off", OMNISPHERE_PROVIDERS_LEDGER="off"
    ) as mesh:
        answered = await mesh.complete("Who keeps the books?")
        assert answered.decision.cache.outcome == cache_pb.CACHE_OUTCOME_MISS
        with pytest.raises(NotFound):
            await usage(mesh)
    assert not (state / "ledger").exists()
