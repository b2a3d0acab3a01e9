"""Requests that are the same share one call; an id that was used replays its answer; who leaves stops paying."""

from __future__ import annotations

import asyncio

import pytest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import DeadlineExceeded, InvalidRequest
from tests.mesh.harness import Mesh, asking, text_of


async def test_a_hundred_same_requests_at_once_are_one_call_upstream(mesh: Mesh) -> None:
    before = await mesh.upstream_requests()
    await mesh.fault(kind="slow_first", delay_ms=400, model="deepseek-v3.2")
    unary = [mesh.complete("What do a hundred callers share?") for _ in range(50)]
    request = pb.StreamCompleteRequest(conversation=asking("What do a hundred callers share?"))
    streams = [mesh.stream(request) for _ in range(50)]
    responses, streamed = await asyncio.gather(asyncio.gather(*unary), asyncio.gather(*streams))
    assert await mesh.upstream_requests() == before + 1
    texts = {text_of(response.message) for response in responses}
    texts |= {"".join(p.text for event in events for p in event.delta.parts) for events, _ in streamed}
    assert len(texts) == 1
    decisions = [response.decision for response in responses] + [events[-1].end.decision for events, _ in streamed]
    leaders = [decision for decision in decisions if not decision.shared_with_request_id]
    (leader,) = leaders
    assert {d.shared_with_request_id for d in decisions if d is not leader} == {leader.request_id}
    assert sum(decision.cost.nanousd for decision in decisions) == leader.cost.nanousd > 0
    assert sum(len(decision.attempts) for decision in decisions) == 1
    assert len({decision.request_id for decision in decisions}) == 100


async def test_a_repeated_request_id_replays_the_first_answer(mesh: Mesh) -> None:
    options = pb.RequestOptions(request_id=f"replay-{id(mesh)}")
    options.cache.no_cache = options.cache.no_store = True
    first = await mesh.complete("Once only, please", options=options)
    before = await mesh.upstream_requests()
    again = await mesh.complete("Once only, please", options=options)
    assert await mesh.upstream_requests() == before
    assert again.decision.replayed
    assert (again.message, again.cost) == (first.message, first.cost)
    with pytest.raises(InvalidRequest) as caught:
        await mesh.complete("Something else", options=options)
    assert caught.value.metadata["field"] == "options.request_id"


async def test_sampled_requests_are_never_shared(mesh: Mesh) -> None:
    conversation = asking("Roll a die, each for himself")
    conversation.sampling.CopyFrom(chat_pb2.Sampling(temperature=1.0))
    before = await mesh.upstream_requests()
    await mesh.fault(kind="slow_first", delay_ms=200, times=3)
    request = pb.CompleteRequest(conversation=conversation)
    await asyncio.gather(*(mesh.call(mesh.router.Complete, request) for _ in range(3)))
    assert await mesh.upstream_requests() == before + 3


async def test_a_caller_who_hangs_up_ends_the_call_to_the_model(mesh: Mesh) -> None:
    await mesh.fault(kind="stall", after_chunks=3, model="deepseek-v3.2")
    call = mesh.router.StreamComplete(pb.StreamCompleteRequest(conversation=asking("Keep talking until I leave")))
    async for event in call:
        if event.HasField("delta"):
            break
    call.cancel()
    for _ in range(100):
        books = await mesh._simulated("/books")
        if books["models"]["deepseek-v3.2"]["requests"] == sum(
            books["models"]["deepseek-v3.2"][name] for name in ("completed", "failed", "interrupted")
        ):
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the simulator still answers a caller who left")


async def test_a_deadline_says_at_which_step_the_time_ran_out(mesh: Mesh) -> None:
    await mesh.fault(kind="silence", model="deepseek-v3.2")
    with pytest.raises(DeadlineExceeded) as caught:
        await mesh.complete("Nobody will answer in time", timeout=0.5)
    assert caught.value.metadata == {"step": "generate"}


async def test_one_who_leaves_does_not_take_the_answer_from_the_others(mesh: Mesh) -> None:
    await mesh.fault(kind="slow_first", delay_ms=300, model="deepseek-v3.2")
    impatient = asyncio.create_task(mesh.complete("Who is patient?", timeout=0.15))
    patient = asyncio.create_task(mesh.complete("Who is patient?"))
    with pytest.raises(DeadlineExceeded):
        await impatient
    assert text_of((await patient).message)
