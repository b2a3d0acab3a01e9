"""One call to a model: its answer, whole or as a stream, and what is booked of it."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from services.chassis import call_context
from services.chassis.call_context import CallContext
from services.chassis.identity import Caller as Identity
from tests.unit.providers.answers import (
    ANSWER,
    COST,
    DONE,
    STREAM,
    body,
    event,
    pieces,
)
from tests.unit.providers.calls import streamed
from tests.unit.providers.conftest import MakeRig, ScriptedProvider
from tests.unit.providers.samples import CANARY, ManualClock, conversation, generation, user


async def test_a_whole_answer_is_booked_and_priced_to_the_nano_dollar(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = body(ANSWER)
    made = rig()
    response = await made.caller.generate(generation())
    assert [part.text for part in response.message.parts] == ["hello"]
    assert response.end.finish_reason == chat_pb2.FINISH_REASON_STOP
    (attempt,) = response.end.attempts
    assert attempt.usage == chat_pb2.Usage(input_uncached_tokens=6, input_cache_read_tokens=4, output_tokens=5)
    assert attempt.cost == chat_pb2.Cost(nanousd=COST, priced=True)
    assert made.booked() == {"ok": 1}
    assert made.cost("reported") == COST
    tokens = {"model": "m", "class": "input_cache_read", "source": "reported"}
    assert made.figure("omnisphere_providers_tokens_total", **tokens) == 4


async def test_a_streamed_answer_ends_with_one_end_and_counts_its_deltas(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = pieces(*STREAM)
    made = rig()
    responses = [response async for response in made.caller.stream(generation())]
    *deltas, end = responses
    assert [response.delta.index for response in deltas] == list(range(len(deltas)))
    assert "".join(part.text for response in deltas for part in response.delta.parts) == "hello"
    assert end.end.attempts[0].cost == chat_pb2.Cost(nanousd=COST, priced=True)
    assert made.booked() == {"ok": 1}


async def test_an_attempt_says_who_when_and_how_long(provider: ScriptedProvider, rig: MakeRig):
    clock = ManualClock()

    async def answer(request: web.Request) -> web.StreamResponse:
        clock.now += 0.25
        return await body(ANSWER)(request)

    provider.answer = answer
    made = rig(clock=clock)
    asked = generation()
    asked.purpose = attempt_pb2.PURPOSE_JUDGE
    (attempt,) = (await made.caller.generate(asked)).end.attempts
    assert (attempt.number, attempt.model, attempt.endpoint) == (1, "m", "scripted")
    assert attempt.purpose == attempt_pb2.PURPOSE_JUDGE
    assert (attempt.http_status, attempt.error_reason, attempt.simulated) == (200, "", False)
    assert (attempt.provider_finish_reason, attempt.upstream_id) == ("stop", "up-1")
    assert attempt.started_at.ToNanoseconds() == 1_790_000_000 * 10**9
    assert attempt.latency.ToMilliseconds() == attempt.time_to_first_token.ToMilliseconds() == 250
    said = {"gen_ai_operation_name": "chat", "gen_ai_provider_name": attempt.endpoint, "gen_ai_request_model": "m"}
    assert made.figure("gen_ai_client_operation_duration_seconds_sum", **said, error_type="") == 0.25


async def test_an_unset_purpose_is_the_answer(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = body(ANSWER)
    (attempt,) = (await rig().caller.generate(generation())).end.attempts
    assert attempt.purpose == attempt_pb2.PURPOSE_ANSWER


async def test_the_request_has_the_own_name_the_key_and_the_trace(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = body(ANSWER)
    made = rig()

    async def call() -> None:
        call_context.enter(CallContext(Identity("t"), "r", "ab" * 16, "01"))
        await made.caller.generate(generation())

    await asyncio.create_task(call())
    ((path, headers, sent),) = provider.requests
    assert path == "/chat/completions"
    assert json.loads(sent)["model"] == "own-name"
    assert headers["authorization"] == f"Bearer {CANARY}"
    assert headers["content-type"] == "application/json"
    assert headers["accept-encoding"] == "identity"
    assert CANARY.encode() not in sent
    version, trace_id, span_id, flags = headers["traceparent"].split("-")
    assert (version, trace_id, len(span_id), flags) == ("00", "ab" * 16, 16, "01")


@pytest.mark.parametrize("stream", [False, True])
async def test_what_the_provider_does_not_count_is_estimated(provider: ScriptedProvider, rig: MakeRig, stream: bool):
    made = rig()
    if stream:
        provider.answer = pieces(event("12345678"), event(finish="stop"), DONE)
        (attempt,) = (await streamed(made.caller))[1].attempts
    else:
        provider.answer = body({"choices": [{"message": {"content": "12345678"}, "finish_reason": "stop"}]})
        (attempt,) = (await made.caller.generate(generation())).end.attempts
    sent = len(provider.requests[0][2])
    expected = chat_pb2.Usage(input_uncached_tokens=-(-sent // 4), output_tokens=2, estimated=True)
    assert attempt.usage == expected
    assert attempt.cost.nanousd == expected.input_uncached_tokens * 2_000 + 2 * 10_000


async def test_a_stream_that_ends_without_its_blank_line_or_end_mark_is_complete(
    provider: ScriptedProvider, rig: MakeRig
):
    provider.answer = pieces(event("hello"), event(finish="stop").rstrip(b"\n"))
    said, end = await streamed(rig().caller)
    assert (said, end.finish_reason) == ("hello", chat_pb2.FINISH_REASON_STOP)


async def test_an_answer_that_drips_is_read(provider: ScriptedProvider, rig: MakeRig):
    whole = b"".join(STREAM)
    provider.answer = pieces(*(whole[at : at + 1] for at in range(len(whole))))
    assert (await streamed(rig().caller))[0] == "hello"


async def test_degradations_come_with_the_end(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = pieces(*STREAM)
    thought = chat_pb2.Part(reasoning=chat_pb2.Reasoning(text="hm"))
    past = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, parts=[thought, chat_pb2.Part(text="a")])
    _, end = await streamed(rig().caller, generation("m", conversation(user("q"), past, user("?"))))
    assert [entry.subject for entry in end.degradations] == ["conversation.messages[1].parts[0].reasoning"]


async def test_a_large_request_goes_out_whole(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = body(ANSWER)
    await rig().caller.generate(generation("m", conversation(user("x" * (3 << 20)))))
    ((_, headers, sent),) = provider.requests
    assert len(sent) > 3 << 20
    assert headers["content-length"] == str(len(sent))
    assert json.loads(sent)["messages"][0]["content"] == "x" * (3 << 20)


async def test_many_calls_at_once_are_booked_apart(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = pieces(*STREAM)
    made = rig()
    await asyncio.gather(*(streamed(made.caller) for _ in range(50)))
    assert made.booked() == {"ok": 50}
    assert made.cost("reported") == 50 * COST
