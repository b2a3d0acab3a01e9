"""A call that fails is made good at another key or endpoint of its model, before its first piece and never after."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from prometheus_client import CollectorRegistry

from omnisphere.providers.v1 import attempt_pb2
from services.chassis.errors import ProviderRejected, ProviderUnavailable, ServiceError, StreamInterrupted
from services.chassis.settings import Secret
from services.providers.call import Caller
from services.providers.endpoints import Directory, Endpoint
from services.providers.keys import Key
from services.providers.metrics import ProvidersMetrics
from services.providers.retry import RetryRules
from services.providers.transport import Transport
from tests.fakes.providers import wired
from tests.unit.providers.answers import ANSWER, STREAM, Handler, body, cut_after, event, pieces, sequence
from tests.unit.providers.calls import attempts_of, failed, streamed
from tests.unit.providers.conftest import PATIENT, ScriptedProvider
from tests.unit.providers.samples import CANARY, generation, model_row

KEYS = tuple(Key(f"V_API_KEY_{n}", Secret(f"{CANARY}-{n}")) for n in (1, 2))


@asynccontextmanager
async def caller(provider: ScriptedProvider, *, endpoints: int = 2, keys: int = 0) -> AsyncIterator[Caller]:
    """A caller of one model at so many endpoints, each with so many keys; the provider tells them apart by path."""
    made = tuple(
        Endpoint(name=f"e{n}", base_url=f"{provider.url}/e{n}", serves={"m": "m"}, keys=KEYS[:keys], priority=n)
        for n in range(1, endpoints + 1)
    )
    transport = Transport(PATIENT)
    rules = RetryRules(attempts=3, first_wait=0.001)
    yield wired(Directory((model_row("m"),), made), transport, ProvidersMetrics(CollectorRegistry()), rules=rules)[0]
    await transport.close()


def first_then(first: Handler, then: Handler) -> Handler:
    """One answer at the first endpoint, another one at the second."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (first if request.path.startswith("/e1/") else then)(request)

    return answer


FAILING = {
    "an error": body({"error": {"message": "no"}}, 500),
    "no key": body({"error": {"message": "no"}}, 401),
    "too many": body({"error": {"message": "no"}}, 429),
    "no such model": body({"error": {"message": "no"}}, 404),
    "hung up": cut_after(),
    "a page": body(b"<html>"),
    "nothing": body(b""),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", FAILING)
async def test_another_endpoint_answers_and_both_attempts_are_told(provider: ScriptedProvider, name: str, stream: bool):
    provider.answer = first_then(FAILING[name], pieces(*STREAM) if stream else body(ANSWER))
    async with caller(provider) as calls:
        if stream:
            _, end = await streamed(calls)
        else:
            end = (await calls.generate(generation())).end
    assert [(each.number, each.endpoint) for each in end.attempts] == [(1, "e1"), (2, "e2")]
    first, second = end.attempts
    assert first.error_reason
    assert (first.outcome, second.outcome) == (attempt_pb2.ATTEMPT_OUTCOME_FAILED, attempt_pb2.ATTEMPT_OUTCOME_OK)
    assert len(provider.requests) == 2


async def test_another_key_of_the_same_endpoint_is_tried_and_named(provider: ScriptedProvider):
    async def one_is_bad(request: web.Request) -> web.StreamResponse:
        bad = request.headers["authorization"].endswith("-1")
        return await (FAILING["no key"] if bad else body(ANSWER))(request)

    provider.answer = one_is_bad
    async with caller(provider, endpoints=1, keys=2) as calls:
        ends = [(await calls.generate(generation())).end for _ in range(8)]
    assert {each.attempts[-1].key for each in ends} == {"V_API_KEY_2"}
    assert {each.key for end in ends for each in end.attempts[:-1]} == {"V_API_KEY_1"}
    assert CANARY not in str(ends)


async def test_the_same_place_is_asked_again_where_there_is_no_other(provider: ScriptedProvider):
    provider.answer = sequence(body(b"", 503), body(ANSWER))
    async with caller(provider, endpoints=1) as calls:
        end = (await calls.generate(generation())).end
    assert [each.http_status for each in end.attempts] == [503, 200]


async def test_what_the_request_itself_is_refused_for_is_asked_nowhere_else(provider: ScriptedProvider):
    provider.answer = first_then(body({"error": {"message": "no"}}, 400), body(ANSWER))
    async with caller(provider) as calls:
        error, _ = await failed(calls, stream=False)
    assert type(error) is ProviderRejected
    assert len(provider.requests) == 1


async def test_a_second_refusal_is_the_callers_and_names_both(provider: ScriptedProvider):
    provider.answer = first_then(body(b"", 503), body({"error": {"message": "no"}}, 400))
    async with caller(provider) as calls:
        error, _ = await failed(calls, stream=True)
    assert type(error) is ProviderRejected
    assert error.metadata["attempts"] == "e1:PROVIDER_UNAVAILABLE,e2:PROVIDER_REJECTED"
    assert [each.endpoint for each in attempts_of(error)] == ["e1", "e2"]


@pytest.mark.parametrize("kind", [ProviderUnavailable, StreamInterrupted])
async def test_after_its_first_piece_a_stream_is_not_made_good(provider: ScriptedProvider, kind: type[ServiceError]):
    first = (event("hel"),) if kind is StreamInterrupted else ()
    provider.answer = first_then(cut_after(*first), pieces(*STREAM))
    async with caller(provider) as calls:
        if kind is StreamInterrupted:
            error, said = await failed(calls, stream=True)
            assert (type(error), said) == (kind, "hel")
            assert len(provider.requests) == 1
        else:
            said, end = await streamed(calls)
            assert len(end.attempts) == 2


async def test_an_endpoint_to_avoid_is_not_asked_where_there_is_another(provider: ScriptedProvider):
    provider.answer = body(ANSWER)
    asked = generation()
    asked.avoid_endpoints.append("e1")
    async with caller(provider) as calls:
        end = (await calls.generate(asked)).end
    assert [each.endpoint for each in end.attempts] == ["e2"]
