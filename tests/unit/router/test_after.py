"""Work after the answer: bounded, counted where it is dropped, finished at the stop."""

from __future__ import annotations

import asyncio
from functools import partial

from services.chassis import call_context
from services.chassis.errors import PeerUnavailable
from services.router.after import AfterAnswer
from tests.fakes.log import ReadableLog
from tests.unit.router.samples import caller, settle


def queue(waiting: int = 10) -> tuple[AfterAnswer, list[str], ReadableLog]:
    dropped: list[str] = []
    log = ReadableLog()
    return AfterAnswer(waiting=waiting, log=log, dropped=dropped.append, pause=0), dropped, log


async def test_what_waits_is_bounded_and_what_is_dropped_is_counted():
    after, dropped, _ = queue(waiting=3)
    done: list[int] = []

    async def work(number: int) -> None:
        done.append(number)

    for number in range(5):
        after.add(partial(work, number))
    assert dropped == ["queue_full"] * 2
    after.start()
    await after.stop()
    assert done == [0, 1, 2]


async def test_the_stop_finishes_what_waits():
    after, dropped, _ = queue()
    done: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(0.001)
        done.append(number)

    after.start()
    for number in range(10):
        after.add(partial(work, number))
    await after.stop()
    assert sorted(done) == list(range(10))
    assert dropped == []


async def test_a_failure_is_counted_by_its_reason_and_the_work_goes_on():
    after, dropped, log = queue()
    done = asyncio.Event()

    async def away() -> None:
        raise PeerUnavailable(peer="cache")

    async def broken() -> None:
        raise RuntimeError("the prompt")

    async def good() -> None:
        done.set()

    after.start()
    for work in (away, broken, good):
        after.add(work)
    await asyncio.wait_for(done.wait(), 1)
    await after.stop()
    assert dropped == ["peer_unavailable"]
    (line,) = log.events("after_answer_failed")
    assert line["type"] == "RuntimeError"
    assert "the prompt" not in log.text


async def test_work_is_done_for_the_call_that_asked_for_it():
    after, _, _ = queue()
    seen: list[str] = []

    async def work() -> None:
        seen.append(call_context.current().request_id)

    async def ask(request_id: str) -> None:
        call_context.enter(caller(request_id=request_id))
        after.add(work)

    await asyncio.gather(*(ask(f"r-{n}") for n in range(3)))
    after.start()
    await after.stop()
    assert seen == ["r-0", "r-1", "r-2"]


async def test_a_few_run_at_once_and_the_rest_wait():
    after, _, _ = queue()
    gate, running = asyncio.Event(), 0

    async def work() -> None:
        nonlocal running
        running += 1
        await gate.wait()

    after.start()
    for _ in range(8):
        after.add(work)
    await settle()
    assert running == 4
    gate.set()
    await after.stop()
    assert running == 8


async def test_work_that_never_ends_is_given_up_at_the_stop(monkeypatch):
    monkeypatch.setattr("services.router.after._LAST_SECONDS", 0.01)
    after, _, log = queue()
    given_up = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    after.start()
    after.add(work)
    await settle()
    await after.stop()
    assert given_up.is_set()
    assert len(log.events("after_answer_unfinished")) == 1
