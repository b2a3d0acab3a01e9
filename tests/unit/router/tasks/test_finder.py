"""The task by its meaning: when it is asked, what the cache's vector does, and that nothing depends on it."""

from __future__ import annotations

import pytest

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import PeerUnavailable
from services.embedding.shared import minilm
from tests.unit.router.samples import rig

SOURCE = decision_pb2.TaskSource
# No rule knows these words.
PROMPT = "Comment dit-on 'apple' en allemand ?"


def vector(text: str) -> cache_pb.Vector:
    found = minilm().embed(text)
    assert found is not None
    return cache_pb.Vector(values=found.tolist(), model_hash=minilm().model_hash)


def miss(text: str) -> cache_pb.LookUpResponse:
    return cache_pb.LookUpResponse(outcome=cache_pb.CACHE_OUTCOME_MISS, embedding=vector(text))


async def test_the_vector_of_a_miss_finds_the_task_that_words_did_not():
    async with rig() as it:
        it.cache.answers = [miss(PROMPT)]
        decision = (await it.ask(PROMPT)).decision
    assert it.cache.looked_up[0].want_embedding
    assert (decision.task_type, decision.task_source) == ("translation", SOURCE.TASK_SOURCE_SEMANTIC)


@pytest.mark.parametrize("case", ["no vector", "another model's"])
async def test_without_a_usable_vector_the_default_stands(case):
    async with rig() as it:
        found = miss(PROMPT)
        if case == "no vector":
            found.ClearField("embedding")
        else:
            found.embedding.model_hash = "another"
        it.cache.answers = [found]
        decision = (await it.ask(PROMPT)).decision
    assert (decision.task_type, decision.task_source) == ("simple_qa", SOURCE.TASK_SOURCE_DEFAULT)


async def test_a_hint_or_a_rule_needs_no_vector():
    async with rig() as it:
        await it.ask("Translate 'cat' into French")
        await it.ask(PROMPT, options=pb.RequestOptions(task_hint="research"))
        await it.ask(PROMPT, model="claude-opus")
    assert [request.want_embedding for request in it.cache.looked_up] == [False, False, False]


async def test_semantic_asks_for_a_vector_of_its_own_and_overrules_words():
    async with rig() as it:
        it.cache.vectors = {"Is there a bug in this recipe for pancakes?": vector("Give me a recipe for pancakes.")}
        options = pb.RequestOptions(policy="semantic")
        decision = (await it.ask("Is there a bug in this recipe for pancakes?", options=options)).decision
    assert decision.strategy == "semantic"
    assert (decision.task_type, decision.task_source) == ("code_review", SOURCE.TASK_SOURCE_RULE)
    async with rig() as it:
        prompt = "Translate this function from Java into Rust"
        it.cache.vectors = {prompt: vector(prompt)}
        decision = (await it.ask(prompt, options=pb.RequestOptions(policy="semantic"))).decision
    assert decision.task_source in (SOURCE.TASK_SOURCE_SEMANTIC, SOURCE.TASK_SOURCE_RULE)


async def test_a_cache_that_is_away_costs_the_meaning_and_nothing_else():
    async with rig() as it:
        it.cache.failing = PeerUnavailable(peer="cache")
        outcome = await it.ask(PROMPT, options=pb.RequestOptions(policy="semantic"))
    assert outcome.error is None
    assert outcome.decision.task_source == SOURCE.TASK_SOURCE_DEFAULT
