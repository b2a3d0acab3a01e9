"""The semantic level through the whole journey: what is served, what is refused and why, what a report changes."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.chat.v1 import chat_pb2
from services.cache.embedding import Model
from services.cache.storage import MemoryStorage
from services.cache.verifier import load
from services.chassis.errors import InvalidRequest
from services.embedding.shared import minilm, word_vectors
from tests.unit.cache.samples import Bench, as_tenant_async, query, reply

ASKED, MEANT = "How can I reset my password?", "How do I reset my password?"
NEAR = [
    ("What was her life before the war?", "What was her life after the war?", pb.CACHE_VETO_REVERSAL),
    ("How do I lose 5 pounds in a week?", "How do I lose 10 pounds in a week?", pb.CACHE_VETO_NUMBERS),
    ("How do I convert miles to kilometres?", "How do I convert kilometres to miles?", pb.CACHE_VETO_ROLES),
]


def model() -> Model:
    embedder = minilm()
    return Model(embedder, word_vectors(), load(model_hash=embedder.model_hash))


class Semantic(Bench):
    """A cache with the real model; calls may wait for it."""

    async def ask(self, text: str, tenant: str = "a", *, more: dict[str, Any] | None = None, **control: Any) -> Any:
        request = pb.LookUpRequest(query=query(text), control=pb.CacheControl(**control), **(more or {}))
        return await as_tenant_async(tenant, self.cache.look_up(request))

    async def keep(self, text: str, answer: str = "Like this.", tenant: str = "a", **more: Any) -> Any:
        request = pb.StoreRequest(query=query(text), reply=reply(answer), **more)
        return await as_tenant_async(tenant, self.cache.store(request))

    async def report(self, text: str, entry_id: str, verdict: Any, tenant: str = "a", **more: Any) -> float:
        request = pb.ReportHitRequest(entry_id=entry_id, query=query(text), verdict=verdict, **more)

        async def report() -> float:
            return self.cache.report(request).threshold

        return await as_tenant_async(tenant, report())


@pytest.fixture
async def bench() -> AsyncIterator[Semantic]:
    made = Semantic(model=model(), check_share=0.0)
    await made.cache.start()
    await made.cache.ready()
    yield made
    await made.cache.stop()


async def test_a_question_of_the_same_meaning_gets_the_answer_and_says_how_sure_that_is(bench: Semantic):
    await bench.keep(ASKED)
    found = await bench.ask(MEANT)
    assert found.outcome == pb.CACHE_OUTCOME_SEMANTIC_HIT
    assert found.reply == reply("Like this.")
    assert found.entry_id
    assert found.similarity > 0.9
    assert found.confidence >= found.threshold > 0.5
    assert (await bench.ask(ASKED)).outcome == pb.CACHE_OUTCOME_EXACT_HIT
    stats = bench.stats()
    assert (stats.exact_hits, stats.semantic_hits) == (1, 1)
    assert bench.figure("omnisphere_cache_vectors") == 1


@pytest.mark.parametrize(("kept", "asked", "veto"), NEAR)
async def test_a_near_miss_is_refused_by_its_rule(bench: Semantic, kept: str, asked: str, veto: int):
    await bench.keep(kept)
    found = await bench.ask(asked)
    assert (found.outcome, found.reason, found.veto) == (pb.CACHE_OUTCOME_MISS, pb.CACHE_REASON_VETOED, veto)
    assert found.similarity > 0.6


async def test_what_is_not_near_enough_says_what_was_missing(bench: Semantic):
    await bench.keep("How can I reset my password on a Mac?")
    found = await bench.ask("How can I reset my password on a phone that I lost?")
    assert (found.outcome, found.reason) == (pb.CACHE_OUTCOME_MISS, pb.CACHE_REASON_BELOW_THRESHOLD)
    assert 0 < found.confidence < found.threshold
    far = await bench.ask("What do whales eat?")
    assert (far.reason, far.similarity) == (pb.CACHE_REASON_UNSPECIFIED, 0)


async def test_another_tenant_system_prompt_or_model_finds_nothing(bench: Semantic):
    await bench.keep(ASKED)
    assert (await bench.ask(MEANT, tenant="b")).similarity == 0
    for other in (query(MEANT, system="Be rude."), query(MEANT, model="m"), query(MEANT, policy_hash="p")):
        found = await as_tenant_async("a", bench.cache.look_up(pb.LookUpRequest(query=other)))
        assert (found.outcome, found.similarity) == (pb.CACHE_OUTCOME_MISS, 0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("What is the weather in Paris today?", pb.CACHE_REASON_VOLATILE),
        ("word " * 300, pb.CACHE_REASON_TOO_LONG),
        ("   ", pb.CACHE_REASON_UNSPECIFIED),
    ],
)
async def test_what_may_not_be_found_by_meaning_is_found_exactly_and_says_why(bench: Semantic, text: str, reason: int):
    assert (await bench.ask(text)).reason == reason
    assert (await bench.keep(text)).stored
    assert (await bench.ask(text)).outcome == pb.CACHE_OUTCOME_EXACT_HIT
    assert bench.figure("omnisphere_cache_vectors") == 0


async def test_an_answer_that_calls_tools_is_found_exactly_alone(bench: Semantic):
    answer = reply()
    answer.finish_reason = chat_pb2.FINISH_REASON_TOOL_CALLS
    request = pb.StoreRequest(query=query(ASKED), reply=answer)
    stored = await as_tenant_async("a", bench.cache.store(request))
    assert (stored.stored, stored.reason) == (True, pb.CACHE_REASON_TOOLS)
    assert (await bench.ask(MEANT)).outcome == pb.CACHE_OUTCOME_MISS


async def test_a_miss_hands_the_vector_back_and_store_takes_it(bench: Semantic):
    missed = await bench.ask(ASKED, more={"want_embedding": True})
    assert len(missed.embedding.values) == 384
    assert missed.embedding.model_hash == minilm().model_hash
    await bench.keep(ASKED, embedding=missed.embedding)
    found = await bench.ask(MEANT, more={"want_embedding": True})
    assert found.outcome == pb.CACHE_OUTCOME_SEMANTIC_HIT
    assert not found.HasField("embedding")


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ([1.0] + [0.0] * 382, "embedding.values"),
        ([0.0] * 384, "embedding.values"),
        ([math.nan] + [0.0] * 383, "embedding.values"),
        ([math.inf] + [0.0] * 383, "embedding.values"),
        ([], "embedding.values"),
    ],
)
async def test_a_vector_that_is_none_is_refused_by_name(bench: Semantic, values: list[float], field: str):
    vector = pb.Vector(values=values, model_hash=minilm().model_hash)
    with pytest.raises(InvalidRequest) as caught:
        await bench.ask(ASKED, more={"embedding": vector})
    assert caught.value.metadata["field"] == field


async def test_a_vector_of_another_model_is_refused(bench: Semantic):
    vector = pb.Vector(values=[1.0] + [0.0] * 383, model_hash="0" * 64)
    with pytest.raises(InvalidRequest) as caught:
        await bench.ask(ASKED, more={"embedding": vector})
    assert caught.value.metadata["field"] == "embedding.model_hash"


async def test_a_wrong_answer_is_not_given_to_that_question_again(bench: Semantic):
    await bench.keep(ASKED)
    found = await bench.ask(MEANT)
    before = found.threshold
    lifted = await bench.report(MEANT, found.entry_id, pb.ReportHitRequest.VERDICT_WRONG)
    assert lifted > before
    again = await bench.ask(MEANT)
    assert (again.outcome, again.similarity) == (pb.CACHE_OUTCOME_MISS, 0)
    assert (await bench.ask(ASKED)).outcome == pb.CACHE_OUTCOME_EXACT_HIT
    # Reported twice, it teaches once.
    assert await bench.report(MEANT, found.entry_id, pb.ReportHitRequest.VERDICT_WRONG) == lifted


async def test_an_answer_that_is_wrong_for_its_own_question_is_given_to_nobody(bench: Semantic):
    await bench.keep(ASKED)
    found = await bench.ask(ASKED)
    assert found.outcome == pb.CACHE_OUTCOME_EXACT_HIT
    await bench.report(ASKED, found.entry_id, pb.ReportHitRequest.VERDICT_WRONG, tenant="b")
    assert (await bench.ask(ASKED)).outcome == pb.CACHE_OUTCOME_EXACT_HIT
    await bench.report(ASKED, found.entry_id, pb.ReportHitRequest.VERDICT_WRONG)
    assert (await bench.ask(ASKED)).outcome == pb.CACHE_OUTCOME_MISS
    assert (await bench.ask(MEANT)).outcome == pb.CACHE_OUTCOME_MISS
    await bench.keep(ASKED)
    assert (await bench.ask(ASKED)).outcome == pb.CACHE_OUTCOME_EXACT_HIT


async def test_a_report_of_another_tenant_changes_nothing(bench: Semantic):
    await bench.keep(ASKED)
    found = await bench.ask(MEANT)
    await bench.report(MEANT, found.entry_id, pb.ReportHitRequest.VERDICT_WRONG, tenant="b")
    assert (await bench.ask(MEANT)).outcome == pb.CACHE_OUTCOME_SEMANTIC_HIT


@pytest.mark.parametrize(
    "fields",
    [
        {"entry_id": "", "verdict": 1},
        {"entry_id": "x", "verdict": 0},
        {"entry_id": "x", "verdict": 9},
        {"entry_id": "x", "verdict": 1, "check_probability": math.nan},
        {"entry_id": "x", "verdict": 1, "check_probability": 1.5},
    ],
)
async def test_a_report_that_makes_no_sense_is_refused(bench: Semantic, fields: dict[str, Any]):
    with pytest.raises(InvalidRequest):
        bench.cache.report(pb.ReportHitRequest(query=query(ASKED), **fields))


async def test_hits_are_marked_for_a_check_as_often_as_asked():
    bench = Semantic(model=model(), check_share=1.0)
    await bench.cache.start()
    await bench.keep(ASKED)
    found = await bench.ask(MEANT)
    assert found.check_probability == 1.0
    assert (await bench.ask(MEANT, more={"peek": True})).check_probability == 0
    threshold = await bench.report(
        MEANT, found.entry_id, pb.ReportHitRequest.VERDICT_RIGHT, check_probability=found.check_probability
    )
    assert threshold == found.threshold
    await bench.cache.stop()


async def test_what_is_forgotten_over_or_too_old_is_not_found_by_meaning(bench: Semantic):
    await bench.keep(ASKED)
    bench.clock.pass_time(100)
    assert (await bench.ask(MEANT, max_age={"seconds": 50})).outcome == pb.CACHE_OUTCOME_MISS
    assert (await bench.ask(MEANT)).outcome == pb.CACHE_OUTCOME_SEMANTIC_HIT
    await bench.invalidate(all=True)
    assert (await bench.ask(MEANT)).outcome == pb.CACHE_OUTCOME_MISS
    assert bench.figure("omnisphere_cache_vectors") == 0


async def test_a_restart_finds_by_meaning_what_was_kept_before():
    storage = MemoryStorage()
    first = Semantic(storage, model=model())
    await first.cache.start()
    await first.keep(ASKED)
    await first.cache.stop()
    second = Semantic(storage, model=model())
    await second.cache.start()
    await second.cache.ready()
    assert (await second.ask(MEANT)).outcome == pb.CACHE_OUTCOME_SEMANTIC_HIT
    await second.cache.stop()


async def test_without_a_model_everything_works_exactly():
    bench = Semantic()
    await bench.cache.start()
    assert (await bench.keep(ASKED)).stored
    assert (await bench.ask(MEANT)).outcome == pb.CACHE_OUTCOME_MISS
    assert (await bench.ask(ASKED)).outcome == pb.CACHE_OUTCOME_EXACT_HIT
    await bench.cache.stop()


async def test_texts_are_embedded_in_order_and_too_long_ones_have_no_values(bench: Semantic):
    response = await bench.cache.embed(pb.EmbedTextsRequest(texts=["a cat", "word " * 300, "a dog"]))
    assert [len(vector.values) for vector in response.embeddings] == [384, 0, 384]
    assert np.dot(response.embeddings[0].values, response.embeddings[2].values) > 0.5
    for texts in ([], ["x"] * 257):
        with pytest.raises(InvalidRequest):
            await bench.cache.embed(pb.EmbedTextsRequest(texts=texts))


async def test_two_routers_that_miss_at_once_get_one_lead(bench: Semantic):
    async def wants(holder: str, text: str = "Who?") -> Any:
        return (await bench.ask(text, more={"want_lease": True, "lease_holder": holder})).lease

    assert (await wants("a")).grant == pb.Lease.GRANT_LEAD
    waits = await wants("b")
    assert waits.grant == pb.Lease.GRANT_WAIT
    assert waits.until.ToSeconds() == int(bench.clock.wall() + 10)
    assert (await wants("a")).grant == pb.Lease.GRANT_LEAD
    failed = pb.StoreRequest(query=query("Who?"), reply=reply(finish="ERROR"))
    assert not (await as_tenant_async("a", bench.cache.store(failed))).stored
    assert (await wants("b")).grant == pb.Lease.GRANT_LEAD
    bench.clock.pass_time(10)
    assert (await wants("a")).grant == pb.Lease.GRANT_LEAD
