"""A call in every wire format, over real HTTP: the same answer, whole and streamed; and what is no stream after all."""

from __future__ import annotations

import json

import pytest
from aiohttp import web

from omnisphere.providers.v1 import attempt_pb2
from services.chassis.errors import ProviderRateLimited, ProviderUnavailable
from services.providers.adapters import WireFormat
from tests.unit.providers.answers import ANSWER, USAGE, Handler, body, event, pieces
from tests.unit.providers.calls import attempt_of, failed, streamed
from tests.unit.providers.conftest import MakeRig, ScriptedProvider
from tests.unit.providers.samples import CANARY, generation
from tests.unit.providers.wire_samples import SAMPLES, TEXT

FORMATS: list[WireFormat] = sorted(SAMPLES)
PATHS = {
    "openai_chat": "/chat/completions",
    "openai_responses": "/responses",
    "anthropic_messages": "/messages",
    "gemini_generate": "/models/own-name:generateContent",
    "cohere_chat": "/chat",
    "ollama_chat": "/api/chat",
}


def sent(data: bytes, kind: str) -> Handler:
    """Answers with these bytes."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=data, headers={"content-type": kind})

    return answer


@pytest.mark.parametrize("name", FORMATS)
async def test_every_format_is_spoken_whole_and_streamed(
    provider: ScriptedProvider, rig: MakeRig, name: WireFormat
) -> None:
    made, sample = rig(wire_format=name), SAMPLES[name]
    provider.answer = sent(sample.whole, "application/json")
    response = await made.caller.generate(generation())
    assert response.message.parts[1].text == TEXT
    path, headers, _ = provider.requests[-1]
    assert path == PATHS[name]
    assert sum(CANARY in value for value in headers.values()) == 1
    kind = "application/x-ndjson" if name == "ollama_chat" else "text/event-stream"
    provider.answer = sent(sample.stream, kind)
    said, end = await streamed(made.caller)
    assert said == TEXT
    assert end.attempts[0].usage == response.end.attempts[0].usage
    assert end.attempts[0].upstream_model == ("" if name == "cohere_chat" else "dated")
    assert made.booked() == {"ok": 2}


async def test_a_server_that_does_not_stream_answers_all_the_same(provider: ScriptedProvider, rig: MakeRig) -> None:
    provider.answer = body(ANSWER)
    said, end = await streamed(rig().caller)
    assert (said, end.attempts[0].provider_finish_reason) == ("hello", "stop")


async def test_an_error_in_place_of_a_stream_is_that_error(provider: ScriptedProvider, rig: MakeRig) -> None:
    provider.answer = body({"error": {"type": "rate_limit_error"}})
    error, said = await failed(rig().caller, stream=True)
    assert (type(error), said) == (ProviderRateLimited, "")


async def test_a_page_in_place_of_a_stream_is_malformed(provider: ScriptedProvider, rig: MakeRig) -> None:
    provider.answer = sent(b"<html>welcome</html>", "text/html; charset=utf-8")
    error, _ = await failed(rig().caller, stream=True)
    assert (type(error), error.metadata["provider_type"]) == (ProviderUnavailable, "malformed")


async def test_what_an_answer_had_and_the_contract_has_not_is_said(provider: ScriptedProvider, rig: MakeRig) -> None:
    audio = {"choices": [{"message": {"content": "a", "audio": {"id": "x"}}, "finish_reason": "stop"}]}
    provider.answer = body(audio)
    response = await rig().caller.generate(generation())
    assert [degradation.subject for degradation in response.end.degradations] == ["answer.audio"]


async def test_a_broken_answer_still_names_the_model_that_gave_it(provider: ScriptedProvider, rig: MakeRig) -> None:
    chunk = json.loads(event("hel").removeprefix(b"data: ")) | {"model": "dated"}
    provider.answer = pieces(f"data: {json.dumps(chunk)}\n\n".encode())
    error, said = await failed(rig().caller, stream=True)
    attempt = attempt_of(error)
    assert (said, attempt.upstream_model, error.metadata["provider_type"]) == ("hel", "dated", "stream_truncated")
    assert attempt.outcome == attempt_pb2.ATTEMPT_OUTCOME_INTERRUPTED


async def test_an_answer_of_nothing_is_an_error_and_billed(provider: ScriptedProvider, rig: MakeRig) -> None:
    choice = {"message": {"content": ""}, "finish_reason": "stop"}
    provider.answer = body(ANSWER | {"choices": [choice]})
    for stream in (False, True):
        error, _ = await failed(rig().caller, stream=stream)
        attempt = attempt_of(error)
        assert (type(error), error.metadata["provider_type"]) == (ProviderUnavailable, "empty")
        assert attempt.usage.output_tokens == USAGE["completion_tokens"]
        assert attempt.outcome == attempt_pb2.ATTEMPT_OUTCOME_FAILED
