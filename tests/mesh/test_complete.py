"""A question through the whole mesh: the answer, its decision, its cost."""

from __future__ import annotations

from typing import Any

import pytest

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import NotFound
from tests.mesh.harness import Mesh, asking, text_of


async def test_an_answer_says_who_gave_it_why_and_what_it_cost(mesh: Mesh) -> None:
    response = await mesh.complete("Summarise why the sky is blue, in one sentence.")
    decision = response.decision
    assert "sky is blue" in text_of(response.message)
    assert response.finish_reason == chat_pb2.FINISH_REASON_STOP
    assert decision.strategy == "rule"
    assert decision.policy == "auto"
    assert decision.task_type == "summarization"
    assert decision.task_source == decision_pb2.TASK_SOURCE_RULE
    assert decision.model == "gemini-3.8-flash"
    assert decision.simulated
    assert [candidate.model for candidate in decision.candidates] == ["gemini-3.8-flash", "gpt-5-mini"]
    (attempt,) = decision.attempts
    assert attempt.outcome == attempt_pb2.ATTEMPT_OUTCOME_OK
    assert attempt.usage == response.usage == decision.usage
    assert attempt.cost == response.cost == decision.cost
    exact = response.usage.input_uncached_tokens * 750 + response.usage.output_tokens * 3750
    assert response.cost == chat_pb2.Cost(nanousd=exact, priced=True)
    assert [step.step for step in decision.steps] == ["look_up", "plan", "generate"]
    assert decision.savings.reference_model == "claude-opus-5-5"
    assert decision.savings.estimated
    assert not decision.degradations


async def test_a_repeated_question_comes_from_the_cache_and_costs_nothing(mesh: Mesh) -> None:
    first = await mesh.complete("What is the boiling point of ethanol, repeated?")
    upstream = await mesh.upstream_requests()
    second = await until_hit(mesh, "What is the boiling point of ethanol, repeated?")
    assert second.message == first.message
    assert second.decision.cache.outcome == cache_pb.CACHE_OUTCOME_EXACT_HIT
    assert second.decision.cache.entry_id
    assert second.cost == chat_pb2.Cost(nanousd=0, priced=True)
    assert second.decision.savings.cache_nanousd == first.cost.nanousd
    assert second.decision.model == first.decision.model
    assert not second.decision.attempts
    assert await mesh.upstream_requests() == upstream


async def test_a_model_asked_for_by_name_answers_and_no_other(mesh: Mesh) -> None:
    response = await mesh.complete("Who are you, by alias?", model="claude-sonnet")
    assert response.decision.model == "claude-sonnet-5-5"
    assert response.decision.strategy == "fixed"
    assert response.decision.policy == ""
    response = await mesh.complete("Who are you, by id?", model="qwen3-8b")
    assert response.decision.model == "qwen3-8b"
    assert response.cost == chat_pb2.Cost(nanousd=0, priced=True)


async def test_the_task_hint_decides_over_the_words(mesh: Mesh) -> None:
    options = pb.RequestOptions(task_hint="translation")
    response = await mesh.complete("Summarise the hinted news", options=options)
    assert response.decision.task_type == "translation"
    assert response.decision.task_source == decision_pb2.TASK_SOURCE_HINT


async def test_another_policy_is_another_route_and_another_scope(mesh: Mesh) -> None:
    await mesh.complete("What is a policy, scoped?")
    response = await mesh.complete("What is a policy, scoped?", options=pb.RequestOptions(policy="local_first"))
    assert response.decision.policy == "local_first"
    assert response.decision.model == "qwen3-8b"
    assert response.decision.cache.outcome == cache_pb.CACHE_OUTCOME_MISS


async def test_a_caller_can_keep_out_of_the_cache(mesh: Mesh) -> None:
    options = pb.RequestOptions(cache=cache_pb.CacheControl(no_store=True))
    await mesh.complete("Do not keep this, please", options=options)
    only = pb.RequestOptions(cache=cache_pb.CacheControl(only_if_cached=True))
    with pytest.raises(NotFound):
        await mesh.complete("Do not keep this, please", options=only)
    fresh = pb.RequestOptions(cache=cache_pb.CacheControl(no_cache=True))
    response = await mesh.complete("Do not keep this, please", options=fresh)
    assert response.decision.cache.outcome == cache_pb.CACHE_OUTCOME_BYPASSED


async def test_explain_says_what_complete_then_does_and_calls_nobody(mesh: Mesh) -> None:
    upstream = await mesh.upstream_requests()
    request = pb.ExplainRequest(conversation=asking("Translate 'cheese' into French, explained"))
    explained = (await mesh.call(mesh.router.Explain, request)).decision
    assert await mesh.upstream_requests() == upstream
    done = (await mesh.complete("Translate 'cheese' into French, explained")).decision
    assert explained.candidates == done.candidates
    assert (explained.task_type, explained.strategy, explained.policy_hash) == (
        done.task_type,
        done.strategy,
        done.policy_hash,
    )
    assert not explained.attempts


async def test_the_catalogue_names_prices_aliases_and_endpoints(mesh: Mesh) -> None:
    response = await mesh.call(mesh.router.ListModels, pb.ListModelsRequest(include_uncallable=True))
    by_id = {model.id: model for model in response.models}
    sonnet = by_id["claude-sonnet-5-5"]
    assert len(by_id) >= 14
    assert sonnet.aliases == ["claude-sonnet"]
    assert (sonnet.prices.input_usd_per_mtok, sonnet.prices.output_usd_per_mtok) == ("2", "10")
    assert sonnet.simulated
    assert [endpoint.name for endpoint in sonnet.endpoints] == ["simulator-messages"]


async def until_hit(mesh: Mesh, text: str, **more: Any) -> pb.CompleteResponse:
    """Ask until the answer comes from the cache: it is stored after it was given."""
    only = pb.RequestOptions(cache=cache_pb.CacheControl(only_if_cached=True))
    for _ in range(100):
        try:
            response: pb.CompleteResponse = await mesh.complete(text, options=only, **more)
        except NotFound:
            continue
        return response
    raise AssertionError("never stored")
