"""A call that fails: the error has its class and cause, and each attempt is booked exactly once."""

from __future__ import annotations

import io
import json
import socket
from dataclasses import replace

import pytest
from prometheus_client import generate_latest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
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
from services.chassis.logs import Log
from services.providers import sse
from services.providers.adapters.openai_chat import OpenAIChat
from services.providers.adapters.openai_chat.read import OpenAIChatReading
from services.providers.patience import Limits
from tests.unit.providers.answers import (
    ANSWER,
    STREAM,
    Handler,
    body,
    cut_after,
    event,
    hold_after,
    pieces,
)
from tests.unit.providers.calls import attempt_of, failed, streamed
from tests.unit.providers.conftest import HASTY, PATIENT, MakeRig, ScriptedProvider
from tests.unit.providers.samples import CANARY, conversation, generation

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
        assert list(error.details) in ([], [attempt_pb2.AttemptsFailed()])
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
