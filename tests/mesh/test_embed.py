"""Texts become vectors through a whole mesh, and the books of all three agree on what they cost."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from omnisphere.providers.v1 import providers_service_pb2 as providers_pb
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import (
    ContextTooLong,
    DeadlineExceeded,
    InvalidRequest,
    MessageTooLarge,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnavailable,
    UnknownModel,
)
from tests.mesh.conftest import TOPOLOGIES
from tests.mesh.harness import Mesh
from tests.mesh.test_usage import until_ledger

SMALL = "text-embedding-3-small"


@pytest.fixture(params=list(TOPOLOGIES))
async def fresh(request: pytest.FixtureRequest, state: Path) -> AsyncIterator[Mesh]:
    """A mesh of the test's own, whose ledgers begin empty."""
    async with TOPOLOGIES[request.param](state) as mesh:
        yield mesh


async def embed(mesh: Mesh, *texts: str, model: str = "embedding-small", tenant: str = "", **more) -> pb.EmbedResponse:
    request = pb.EmbedRequest(model=model, texts=texts, **more)
    response: pb.EmbedResponse = await mesh.call(mesh.router.Embed, request, tenant=tenant)
    return response


async def test_each_text_has_its_vector_in_order_with_tokens_and_cost(mesh: Mesh) -> None:
    response = await embed(mesh, "one", "two", "one")
    first, second, third = ([*embedding.values] for embedding in response.embeddings)
    assert first == third != second
    assert {len(first), len(second)} == {1536}
    assert math.isclose(sum(value * value for value in first), 1.0, rel_tol=1e-5)
    assert (response.model, response.simulated) == (SMALL, True)
    assert response.usage.input_uncached_tokens == 3
    assert (response.cost.nanousd, response.cost.priced) == (60, True)


async def test_the_vectors_are_those_of_the_upstream_to_the_last_bit(mesh: Mesh) -> None:
    alone = await embed(mesh, "the same", dimensions=8)
    among = await embed(mesh, "another", "the same", dimensions=8)
    assert alone.embeddings[0] == among.embeddings[1]
    assert len(alone.embeddings[0].values) == 8
    sent = (await mesh.last_upstream())["body"]
    assert (sent["model"], sent["input"], sent["dimensions"]) == (SMALL, ["another", "the same"], 8)


async def test_as_many_texts_as_are_allowed_come_back_as_vectors(mesh: Mesh) -> None:
    response = await embed(mesh, *(f"text {number}" for number in range(2_048)), dimensions=4)
    assert len(response.embeddings) == 2_048


async def test_an_answer_larger_than_any_request_gets_through(mesh: Mesh) -> None:
    response = await embed(mesh, *(f"text {number}" for number in range(400)), model="embedding-large")
    assert response.ByteSize() > 4 * 1024 * 1024


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"model": ""}, "model"),
        ({"texts": []}, "texts"),
        ({"texts": ["a", ""]}, "texts[1]"),
        ({"texts": ["a"] * 2_049}, "texts"),
        ({"dimensions": 0}, "dimensions"),
        ({"request_id": "no id"}, "request_id"),
        ({"model": "claude-sonnet"}, "model"),
    ],
)
async def test_what_can_never_succeed_names_its_field_and_reaches_no_model(mesh: Mesh, change, field: str) -> None:
    before = await mesh.upstream_requests()
    with pytest.raises(InvalidRequest) as caught:
        await mesh.call(mesh.router.Embed, pb.EmbedRequest(**{"model": SMALL, "texts": ["a"]} | change))
    assert caught.value.metadata["field"] == field
    assert await mesh.upstream_requests() == before


async def test_an_unknown_model_and_a_message_too_large_are_refused(mesh: Mesh) -> None:
    with pytest.raises(UnknownModel) as unknown:
        await embed(mesh, "a", model="text-embedding-99")
    assert SMALL in unknown.value.metadata["known"]
    with pytest.raises(MessageTooLarge):
        await embed(mesh, "x" * (4 * 1024 * 1024))


async def test_as_many_texts_as_may_come_at_once_get_their_vectors(mesh: Mesh) -> None:
    answer = await embed(mesh, *(str(number) for number in range(2_048)))
    assert len(answer.embeddings) == 2_048


async def test_a_model_that_makes_vectors_answers_no_conversation(mesh: Mesh) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await mesh.complete("Do you speak?", model="embedding-small")
    assert caught.value.metadata == {"field": "model", "problem": "names a model that answers no conversation"}


async def test_a_limited_rate_is_said_with_its_wait_and_no_other_model_is_asked(mesh: Mesh) -> None:
    before = await mesh.upstream_requests()
    await mesh.fault(kind="status", status=429, retry_after=7, model=SMALL)
    with pytest.raises(ProviderRateLimited) as limited:
        await embed(mesh, "Too often")
    assert limited.value.retry_after == timedelta(seconds=7)
    assert limited.value.metadata["provider"] == "simulator"
    assert await mesh.upstream_requests() == before + 1


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ({"kind": "malformed"}, "malformed"),
        ({"kind": "html"}, "malformed"),
        ({"kind": "empty_body"}, "malformed"),
        ({"kind": "error_event"}, "error_in_answer"),
        ({"kind": "reset"}, "hung_up"),
        ({"kind": "status", "status": 503}, "status"),
    ],
    ids=lambda value: value if isinstance(value, str) else value["kind"],
)
async def test_an_answer_that_is_none_is_a_failure_of_the_provider(mesh: Mesh, fault, cause: str) -> None:
    await mesh.fault(model=SMALL, **fault)
    with pytest.raises(ProviderUnavailable) as failed:
        await embed(mesh, "Say something else")
    assert failed.value.metadata["cause"] == cause


async def test_what_the_upstream_refuses_is_not_tried_again(mesh: Mesh) -> None:
    with pytest.raises(ProviderRejected):
        await embed(mesh, "Too long a vector", dimensions=5_000)
    with pytest.raises(ContextTooLong):
        await embed(mesh, "x" * 4 * 9_000)


async def test_requests_attempts_and_the_upstreams_own_books_agree(fresh: Mesh, state: Path) -> None:
    for number in range(3):
        await embed(fresh, f"Booked {number}", "and another", request_id=f"e-{number}", tenant=f"t{number % 2}")
    await embed(fresh, "Large", model="embedding-large", tenant="t0")
    await fresh.complete("Translate 'ledger' into French.", tenant="t0")
    await fresh.fault(kind="status", status=429, model=SMALL)
    with pytest.raises(ProviderRateLimited):
        await embed(fresh, "Not now", tenant="t0")
    requests = await until_ledger(state, "request", 6)
    attempts = await until_ledger(state, "attempt", 6)
    mine = [row for row in requests if row["task"] == "embedding"]
    assert len(mine) == 5
    assert {row["strategy"] for row in mine} == {"fixed"}
    assert [row["error"] for row in mine if row["error"]] == ["PROVIDER_RATE_LIMITED"]
    assert {row["request_id"] for row in attempts} == {row["request_id"] for row in requests}
    assert {"e-0", "e-1", "e-2"} < {row["request_id"] for row in requests}
    spent: Counter[str] = Counter()
    for row in requests:
        spent[row["model"]] += row["cost_nanousd"]
    booked: Counter[str] = Counter()
    for row in attempts:
        booked[row["model"]] += row["cost_nanousd"]
    assert spent == booked
    assert await fresh.book_differences() == []
    asked = pb.GetUsageRequest(group_by=[pb.USAGE_GROUPING_TASK])
    by_task = (await fresh.call(fresh.router.GetUsage, asked, tenant="t0")).rows
    assert [(list(row.keys), row.requests) for row in by_task] == [(["embedding"], 4), (["translation"], 1)]
    assert by_task[0].cost.nanousd == sum(row["cost_nanousd"] for row in mine if row["tenant"] == "t0")


async def test_what_a_caller_gave_up_is_booked_with_what_it_cost(fresh: Mesh, state: Path) -> None:
    await fresh.fault(kind="stall", model=SMALL)
    call = asyncio.create_task(embed(fresh, "eight by", request_id="left"))
    while not await fresh.upstream_requests():  # noqa: ASYNC110 - the simulator has no event to wait for
        await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    (row,) = await until_ledger(state, "request", 1)
    (attempt,) = await until_ledger(state, "attempt", 1)
    assert (row["request_id"], row["error"], attempt["outcome"]) == ("left", "CANCELLED", "cancelled")
    assert row["cost_nanousd"] == attempt["cost_nanousd"] == 40
    assert row["estimated"] == attempt["estimated"] == 1


async def test_a_deadline_ends_the_call(mesh: Mesh) -> None:
    await mesh.fault(kind="silence", model=SMALL)
    with pytest.raises(DeadlineExceeded):
        await mesh.call(mesh.router.Embed, pb.EmbedRequest(model=SMALL, texts=["Nobody answers"]), timeout=0.3)


@pytest.mark.parametrize("shared_mesh", ["four_processes"], indirect=True)
async def test_the_providers_service_embeds_as_its_contract_says(mesh: Mesh) -> None:
    request = providers_pb.EmbedRequest(
        model="embedding-small", texts=["a", "b"], request_id="r", call_id="e-call", dimensions=3
    )
    response = await mesh.call(mesh.providers.Embed, request)
    assert [len(embedding.values) for embedding in response.embeddings] == [3, 3]
    remembered = await mesh.call(mesh.providers.GetAttempts, providers_pb.GetAttemptsRequest(call_id="e-call"))
    assert list(remembered.attempts) == list(response.attempts)
    with pytest.raises(InvalidRequest):
        await mesh.call(mesh.providers.Embed, providers_pb.EmbedRequest(model="gpt-5", texts=["a"], request_id="r"))
