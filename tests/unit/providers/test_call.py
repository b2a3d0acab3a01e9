"""One call to a model: each attempt is booked exactly once, however it ends, and nothing leaks."""

from __future__ import annotations

import asyncio
import gc
import io
import json
import socket
from dataclasses import replace

import pytest
from aiohttp import web
from prometheus_client import generate_latest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from services.chassis import call_context
from services.chassis.call_context import CallContext
from services.chassis.errors import (
    InvalidRequest,
    NoEndpoint,
    ProviderAuth,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnavailable,
    ServiceError,
    StreamInterrupted,
    UnknownModel,
)
from services.chassis.identity import Caller as Identity
from services.chassis.logs import Log
from services.providers import sse
from services.providers.adapters.openai_chat import OpenAIChat
from services.providers.adapters.openai_chat.read import OpenAIChatReading
from services.providers.patience import Limits
from tests.unit.providers.answers import (
    ANSWER,
    COST,
    DONE,
    STREAM,
    Handler,
    begun,
    body,
    cut_after,
    event,
    hold_after,
    pieces,
)
from tests.unit.providers.calls import attempt_of, failed, streamed
from tests.unit.providers.conftest import HASTY, PATIENT, MakeRig, ScriptedProvider
from tests.unit.providers.samples import CANARY, ManualClock, conversation, generation, user

# ------------------------------------------------------------------- answers


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


# ------------------------------------------------------------------ failures

ERROR = {"error": {"message": f"you said {CANARY}", "type": "server_error"}}
OVER = b"x" * (1 << 16)
# what the provider does, class whole, class streamed, cause or provider_type; no content was handed out
EARLY: dict[str, tuple[Handler, Limits, type[ServiceError], str]] = {
    "bad request": (body(ERROR, 400), PATIENT, ProviderRejected, "server_error"),
    "bad key": (body(ERROR, 401), PATIENT, ProviderAuth, "server_error"),
    "slow down": (body(ERROR, 429, retry_after="7"), PATIENT, ProviderRateLimited, "server_error"),
    "server error": (body(b"<html>", 500), PATIENT, ProviderUnavailable, "status"),
    "a redirect": (body(b"", 302, location="/elsewhere"), PATIENT, ProviderUnavailable, "status"),
    "no content": (body(b"", 204), PATIENT, ProviderUnavailable, "status"),
    "hung up before the head": (cut_after(), PATIENT, ProviderUnavailable, "hung_up"),
    "no head": (hold_after(), replace(HASTY, connect=0.1), ProviderUnavailable, "_timeout"),
    "an error object": (body(b"data: " + json.dumps(ERROR).encode()), PATIENT, ProviderUnavailable, ""),
    "a page": (body(b"<html>"), PATIENT, ProviderUnavailable, ""),
    "nothing": (body(b""), PATIENT, ProviderUnavailable, ""),
    "compressed": (body(b"", content_encoding="gzip"), PATIENT, ProviderUnavailable, "content_encoding"),
    "too much": (body(OVER), replace(PATIENT, most_bytes=1000), ProviderUnavailable, "too_large"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", EARLY)
async def test_a_failure_before_any_content_is_booked_once_and_costs_nothing(
    provider: ScriptedProvider, rig: MakeRig, name: str, stream: bool
):
    provider.answer, limits, kind, cause = EARLY[name]
    made = rig(limits)
    error, said = await failed(made.caller, stream=stream)
    assert (type(error), said) == (kind, "")
    assert any(error.metadata.get(name, "").endswith(cause) for name in ("cause", "provider_type"))
    attempt = attempt_of(error)
    assert attempt.outcome == attempt_pb2.ATTEMPT_OUTCOME_FAILED
    assert attempt.error_reason == error.reason()
    assert attempt.usage == chat_pb2.Usage()
    assert attempt.cost == chat_pb2.Cost(nanousd=0, priced=True)
    assert not attempt.HasField("time_to_first_token") or not stream
    assert made.booked() == {"failed": 1}
    assert len(provider.requests) == 1


async def test_a_failure_says_the_status_and_how_long_to_wait(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = body(ERROR, 429, retry_after="7")
    error, _ = await failed(rig().caller, stream=True)
    assert error.retry_after is not None
    assert error.retry_after.total_seconds() == 7
    assert attempt_of(error).http_status == 429


async def test_the_body_of_a_failure_may_be_compressed_or_endless(provider: ScriptedProvider, rig: MakeRig):
    for answer in (body(b"\x1f\x8b", 503, content_encoding="gzip"), body(OVER, 503)):
        provider.answer = answer
        error, _ = await failed(rig(replace(PATIENT, most_bytes=1000)).caller, stream=False)
        assert error.metadata["provider_type"] == "http_503"


async def test_a_refused_connection_is_booked_too(rig: MakeRig):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        made = rig(url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        error, _ = await failed(made.caller, stream=True)
    assert error.metadata == {"provider": "scripted", "cause": "connect", "provider_type": "transport"}
    assert attempt_of(error).http_status == 0
    assert made.booked() == {"failed": 1}


# what the provider does after content was handed out, its cause
LATE: dict[str, tuple[Handler, Limits, str]] = {
    "cut": (cut_after(event("hel")), PATIENT, "hung_up"),
    "ended too early": (pieces(event("hel")), PATIENT, "stream_truncated"),
    "ended within an event": (pieces(event("hel"), event("lo")[:30]), PATIENT, "stream_truncated"),
    "malformed": (pieces(event("hel"), b'data: {"choices":[{"delta":{"content":"\n\n'), PATIENT, "malformed"),
    "stalled": (hold_after(event("hel")), HASTY, "idle_timeout"),
    "an error": (pieces(event("hel"), f"data: {json.dumps(ERROR)}\n\n".encode()), PATIENT, "server_error"),
    "too much": (pieces(event("hel"), OVER), replace(PATIENT, most_bytes=1000), "too_large"),
}


@pytest.mark.parametrize("name", LATE)
async def test_a_failure_after_content_is_an_interruption_and_billed(
    provider: ScriptedProvider, rig: MakeRig, name: str
):
    provider.answer, limits, cause = LATE[name]
    provider.gate.clear()  # content and failure in one chunk would hand nothing out
    made = rig(limits)
    error, said = await failed(made.caller, stream=True, handed_out=provider.gate)
    assert type(error) is StreamInterrupted
    assert said == "hel"
    assert error.metadata["cause"] == cause
    attempt = attempt_of(error)
    assert attempt.outcome == attempt_pb2.ATTEMPT_OUTCOME_INTERRUPTED
    assert attempt.error_reason == "STREAM_INTERRUPTED"
    assert attempt.usage.estimated
    assert attempt.usage.output_tokens == 1
    assert attempt.cost.nanousd == attempt.usage.input_uncached_tokens * 2_000 + 10_000
    assert attempt.HasField("time_to_first_token")
    assert made.booked() == {"interrupted": 1}


async def test_content_before_a_failure_in_the_same_chunk_is_handed_out(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = pieces(event("hel") + b"data: {\n\n")
    made = rig()
    error, said = await failed(made.caller, stream=True)
    assert (type(error), said) == (StreamInterrupted, "hel")
    assert error.metadata["cause"] == "malformed"


async def test_a_role_alone_is_no_content(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = pieces(event(""), b"data: {\n\n")
    provider.gate.set()
    made = rig()
    error, _ = await failed(made.caller, stream=True)
    assert type(error) is ProviderUnavailable
    assert made.booked() == {"failed": 1}


async def test_an_event_without_end_is_refused(
    provider: ScriptedProvider, rig: MakeRig, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sse, "MOST_EVENT_BYTES", 64)
    provider.answer = pieces(b"data: " + b"x" * 100)
    error, _ = await failed(rig().caller, stream=True)
    assert error.metadata["cause"] == "too_large"


@pytest.mark.parametrize("stream", [False, True])
async def test_what_was_never_sent_is_not_booked(provider: ScriptedProvider, rig: MakeRig, stream: bool):
    made = rig()
    bad = conversation(vendor_options_json='{"model": "x"}')
    for kind, asked in (
        (UnknownModel, generation("nobody")),
        (NoEndpoint, generation("unserved")),
        (InvalidRequest, generation("m", bad)),
    ):
        error, _ = await failed(made.caller, stream=stream, asked=asked)
        assert type(error) is kind
        assert not error.details
    assert made.booked() == {}
    assert provider.requests == []


async def test_a_mistake_of_ours_is_booked_and_stays_what_it_is(provider: ScriptedProvider, rig: MakeRig):
    made = rig()
    made.caller._formats = {"openai_chat": _Broken()}
    provider.answer = body(ANSWER)
    with pytest.raises(ZeroDivisionError):
        await made.caller.generate(generation())
    provider.answer = pieces(*STREAM)
    with pytest.raises(ZeroDivisionError):
        await streamed(made.caller)
    assert made.booked() == {"failed": 2}


class _BrokenReading(OpenAIChatReading):
    def _envelope(self, document: object) -> None:
        raise ZeroDivisionError


class _Broken(OpenAIChat):
    """An adapter with a mistake in it."""

    def reading(self, *, model: str) -> OpenAIChatReading:
        return _BrokenReading()


# -------------------------------------------------------------- nobody waits


@pytest.mark.parametrize("sent", [(), (event("hel"),)])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_is_cancelled_hangs_up_and_is_booked(
    provider: ScriptedProvider, rig: MakeRig, stream: bool, sent: tuple[bytes, ...]
):
    provider.answer = hold_after(*sent)
    made = rig()
    task = asyncio.ensure_future(streamed(made.caller) if stream else made.caller.generate(generation()))
    async with asyncio.timeout(2):
        await provider.received.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await provider.hung_up.wait()
    assert made.booked() == {"cancelled": 1}
    assert made.cost("estimated") > 0  # the provider may bill it


async def test_a_stream_that_is_left_hangs_up_and_what_came_is_booked(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = hold_after(event("12345678"))
    made = rig()
    responses = made.caller.stream(generation())
    assert (await anext(responses)).delta.parts[0].text == "12345678"
    await responses.aclose()
    async with asyncio.timeout(2):
        await provider.hung_up.wait()
    assert made.booked() == {"cancelled": 1}
    assert (
        made.figure("omnisphere_providers_tokens_total", model="m", **{"class": "output", "source": "estimated"}) == 2
    )
    gc.collect()  # an async generator that was not closed would be heard of here


async def test_a_stream_that_is_left_at_its_end_is_booked_once(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = pieces(*STREAM)
    made = rig()
    responses = made.caller.stream(generation())
    while not (await anext(responses)).HasField("end"):
        pass
    await responses.aclose()
    assert made.booked() == {"ok": 1}


async def test_a_stream_that_nobody_reads_is_never_sent(provider: ScriptedProvider, rig: MakeRig):
    made = rig()
    await made.caller.stream(generation()).aclose()
    assert provider.requests == []
    assert made.booked() == {}


async def test_a_deadline_ends_an_answer_that_drips(provider: ScriptedProvider, rig: MakeRig):
    async def drip(request: web.Request) -> web.StreamResponse:
        response = await begun(request)
        while True:
            await response.write(b": \n")
            await asyncio.sleep(0.01)

    provider.answer = drip
    made = rig()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await streamed(made.caller)
    assert made.booked() == {"cancelled": 1}
    async with asyncio.timeout(2):
        await provider.hung_up.wait()


async def test_many_calls_at_once_are_booked_apart(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = pieces(*STREAM)
    made = rig()
    await asyncio.gather(*(streamed(made.caller) for _ in range(50)))
    assert made.booked() == {"ok": 50}
    assert made.cost("reported") == 50 * COST


async def test_the_key_is_in_no_log_and_no_figure(provider: ScriptedProvider, rig: MakeRig):
    made, lines = rig(), io.StringIO()
    log = Log("providers", level="debug", stream=lines)
    for answer in (body(ANSWER), body(ERROR, 401), cut_after(), pieces(b"data: {\n\n"), body(b"x: y\0", 500)):
        provider.answer = answer
        try:
            await made.caller.generate(generation())
        except ServiceError as failure:
            log.error("failed", failure, **failure.metadata)
    assert sum(made.booked().values()) == 5
    assert "canary" not in lines.getvalue()
    assert b"canary" not in generate_latest(made.registry)
    assert "canary" not in f"{made.directory.listed} {made.directory.endpoints}"
