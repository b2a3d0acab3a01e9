"""One call for vectors: each attempt is booked exactly once, however it ends, under its own name and price."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as pb
from services.chassis.errors import (
    InvalidRequest,
    NoEndpoint,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnavailable,
    ServiceError,
    UnknownModel,
)
from tests.unit.providers.answers import body, hold_after
from tests.unit.providers.calls import attempt_of
from tests.unit.providers.conftest import HASTY, PATIENT, MakeRig, Rig, ScriptedProvider
from tests.unit.providers.samples import CANARY

GOOD = {"id": "up-7", "data": [{"index": 0, "embedding": [1.0, 0.5]}], "usage": {"prompt_tokens": 4}}


def asked(*texts: str, model: str = "e", **more: object) -> pb.EmbedRequest:
    return pb.EmbedRequest(model=model, texts=texts or ("hello",), request_id="r-1", **more)  # type: ignore[arg-type]


async def refused(rig: Rig, request: pb.EmbedRequest | None = None) -> ServiceError:
    with pytest.raises(ServiceError) as failure:
        await rig.embedder.embed(request or asked())
    assert CANARY not in f"{failure.value!r} {failure.value.message()} {failure.value.metadata}"
    return failure.value


async def test_vectors_are_booked_and_priced_by_their_input(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = body(GOOD)
    made = rig()
    response = await made.embedder.embed(asked(dimensions=2, call_id="c-1"))
    assert [list(embedding.values) for embedding in response.embeddings] == [[1.0, 0.5]]
    (attempt,) = response.attempts
    assert attempt.outcome == attempt_pb2.ATTEMPT_OUTCOME_OK
    assert (attempt.model, attempt.endpoint, attempt.upstream_id, attempt.http_status) == ("e", "scripted", "up-7", 200)
    assert attempt.purpose == attempt_pb2.PURPOSE_ANSWER
    assert attempt.usage == chat_pb2.Usage(input_uncached_tokens=4)
    assert attempt.cost == chat_pb2.Cost(nanousd=4 * 2_000, priced=True)
    assert not attempt.HasField("time_to_first_token")
    assert made.attempts.of_call("c-1") == [attempt]
    assert made.booked() == {"ok": 1}
    place = {"gen_ai_operation_name": "embeddings", "gen_ai_provider_name": "scripted", "gen_ai_request_model": "e"}
    assert made.figure("gen_ai_client_operation_duration_seconds_count", **place, error_type="") == 1
    counted, answered = ({**place, "gen_ai_token_type": kind} for kind in ("input", "output"))
    assert made.figure("gen_ai_client_token_usage_sum", **counted) == 4
    assert made.figure("gen_ai_client_token_usage_count", **answered) == 0
    ((path, headers, sent),) = provider.requests
    assert (path, headers["authorization"]) == ("/embeddings", f"Bearer {CANARY}")
    assert json.loads(sent)["model"] == "own-embedder"
    assert json.loads(sent)["dimensions"] == 2


async def test_what_the_provider_does_not_count_is_estimated(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = body(GOOD | {"usage": None})
    response = await rig().embedder.embed(asked("twelve bytes"))
    assert response.attempts[0].usage == chat_pb2.Usage(input_uncached_tokens=3, estimated=True)


@pytest.mark.parametrize(
    ("answer", "kind", "cause"),
    [
        (body({"error": {"type": "rate_limit_error"}}, 429, retry_after="7"), ProviderRateLimited, None),
        (body({"error": {"type": "invalid_request_error"}}, 400), ProviderRejected, None),
        (body({}, 404), UnknownModel, None),
        (body({}, 503), ProviderUnavailable, "status"),
        (body(b""), ProviderUnavailable, "malformed"),
        (body({"data": []}), ProviderUnavailable, "empty"),
        (body({"error": {"type": "server_error"}}), ProviderUnavailable, "error_in_answer"),
        (hold_after(), ProviderUnavailable, "total_timeout"),
    ],
)
async def test_a_failure_is_named_and_booked_without_tokens(
    provider: ScriptedProvider, rig: MakeRig, answer, kind, cause
):
    provider.answer = answer
    made = rig(HASTY)
    error = await refused(made)
    assert type(error) is kind
    assert error.metadata.get("cause") == cause
    assert error.retry_after == (timedelta(seconds=7) if kind is ProviderRateLimited else None)
    attempt = attempt_of(error)
    assert (attempt.outcome, attempt.error_reason) == (attempt_pb2.ATTEMPT_OUTCOME_FAILED, error.reason())
    assert (attempt.usage, attempt.cost.nanousd) == (chat_pb2.Usage(), 0)
    assert made.booked() == {"failed": 1}


async def test_vectors_of_another_length_are_never_given(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = body(GOOD)
    error = await refused(rig(), asked(dimensions=3))
    assert error.metadata["cause"] == "dimensions"


async def test_what_the_provider_counted_is_paid_for_also_where_its_vectors_are_no_good(
    provider: ScriptedProvider, rig: MakeRig
):
    provider.answer = body(GOOD | {"data": []})
    made = rig()
    attempt = attempt_of(await refused(made))
    assert attempt.usage.input_uncached_tokens == 4
    assert not attempt.usage.estimated
    assert attempt.cost.nanousd > 0
    assert made.booked() == {"failed": 1}


async def test_vectors_that_are_too_large_are_the_callers_to_part_and_paid_for_once(
    provider: ScriptedProvider, rig: MakeRig
):
    provider.answer = body(b" " * 2_000)
    made = rig(replace(PATIENT, most_bytes=1_000))
    for _ in range(10):  # an endpoint that does its work is not left alone
        error = await refused(made, asked("twelve bytes"))
        assert isinstance(error, InvalidRequest)
        assert error.metadata["field"] == "texts"
        assert "send fewer at once" in error.metadata["problem"]
        assert attempt_of(error).usage == chat_pb2.Usage(input_uncached_tokens=3, estimated=True)
    assert len(provider.requests) == 10


async def test_a_call_that_is_given_up_is_booked_with_an_estimate(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = hold_after()
    made = rig()
    call = asyncio.create_task(made.embedder.embed(asked("eight by")))
    await provider.received.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert made.booked() == {"cancelled": 1}
    labels = {"model": "e", "source": "estimated", "class": "input_uncached"}
    assert made.figure("omnisphere_providers_tokens_total", **labels) == 2


async def test_what_is_never_sent_is_no_attempt(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = body(GOOD)
    made = rig()
    for model, kind in (("m", InvalidRequest), ("no-such", UnknownModel), ("idle-embedder", NoEndpoint)):
        error = await refused(made, asked(model=model))
        assert type(error) is kind
        assert error.details == ()
    assert made.booked() == {}
    assert provider.requests == []
