"""What Fit cut comes back by its handle, to its own tenant alone, also after a restart."""

from __future__ import annotations

import io
import sqlite3

import pytest
import pytest_asyncio

from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from services.chassis import call_context
from services.chassis.errors import NotFound
from services.chassis.executor import Executor
from services.chassis.identity import Caller
from services.chassis.logs import Log
from services.context.cut_turns import CutTurns
from services.context.store import Store
from services.context.units import split
from tests.fakes.clock import FakeClock
from tests.unit.context.conversations import assistant, calls, conversation, results, user


@pytest_asyncio.fixture
async def turns(tmp_path):
    executor, store = Executor(threads=1), Store(tmp_path / "context.sqlite3")
    made = CutTurns(store, executor, FakeClock(), Log("context", stream=io.StringIO()))
    yield made
    executor.close()
    store.close()


def kept(turns, units):
    for handle, messages in units.items():
        turns.keep("red", [(handle, split(messages)[0])], messages)


async def test_units_come_back_in_the_order_of_the_handles(turns):
    tool_use = [calls("a"), results("a")]
    kept(turns, {"1": [user("one")], "2": tool_use})
    assert list((await turns.expand("red", ["2", "1"])).messages) == [*tool_use, user("one")]
    await turns.stop()
    assert list((await turns.expand("red", ["2", "1"])).messages) == [*tool_use, user("one")]
    assert turns.is_known("red", "1")


async def test_another_tenants_handle_is_not_there(turns):
    kept(turns, {"1": [user("one")]})
    for _ in range(2):
        with pytest.raises(NotFound):
            await turns.expand("blue", ["1"])
        await turns.stop()


async def test_without_its_file_what_waits_can_still_be_expanded(turns, tmp_path):
    (tmp_path / "context.sqlite3").mkdir()
    kept(turns, {"1": [user("one")]})
    await turns.stop()
    assert turns.is_failing
    assert list((await turns.expand("red", ["1"])).messages) == [user("one")]
    (tmp_path / "context.sqlite3").rmdir()
    await turns.stop()
    assert not turns.is_failing


async def test_every_unit_that_fit_cut_can_be_expanded(parts):
    talk = [m for n in range(40) for m in (user(f"question {n} about the weather"), assistant(f"answer {n}"))]
    request = pb.FitRequest(
        conversation=conversation(*talk, user("And now?")), model="gpt-5", window_tokens=300, reserved_output_tokens=50
    )
    with call_context.entered(call_context.CallContext(Caller("red"), "", "0" * 32)):
        response = await parts.fitter.fit(request)
    cut = [decision for decision in response.decisions if decision.handle]
    assert len(cut) > 40
    assert all(decision.kept == (decision.reason == pb.UnitDecision.REASON_RETRIEVED) for decision in cut)
    expanded = await parts.cut_turns.expand("red", [decision.handle for decision in cut])
    assert list(expanded.messages) == [talk[decision.first_message] for decision in cut]
    with pytest.raises(NotFound):
        await parts.cut_turns.expand("default", [cut[0].handle])
    with pytest.raises(NotFound) as caught:
        await parts.cut_turns.expand("red", [cut[0].handle, "none"])
    assert caught.value.metadata == {"name": "handles[1]"}


async def test_a_search_that_fails_leaves_a_valid_window(parts, monkeypatch):
    def broken(*_):
        raise sqlite3.OperationalError("no such module: fts5")

    monkeypatch.setattr(parts.fitter._cutter._known, "take", broken)
    talk = [m for n in range(40) for m in (user(f"question {n} about the weather"), assistant(f"answer {n}"))]
    request = pb.FitRequest(
        conversation=conversation(*talk, user("What was question 3?")),
        model="gpt-5",
        window_tokens=300,
        reserved_output_tokens=50,
    )
    response = await parts.fitter.fit(request)
    assert [said.kind for said in response.degradations] == [chat.Degradation.KIND_MEMORY_UNAVAILABLE]
    assert response.messages[-1] == request.conversation.messages[-1]
    assert response.after.upper_bound <= response.budget_tokens
