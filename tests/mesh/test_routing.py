"""Strategies, cascades and learning from feedback, through a whole mesh."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import InvalidRequest, NoCandidateLeft
from tests.mesh import fields
from tests.mesh.harness import Mesh, asking, in_one_process

EVIDENCE = decision_pb2.Candidate
LADDER = """
strategy = "cascade"
reference_model = "claude-opus"
models = ["gpt-5-mini", "deepseek-v3", "claude-opus"]
judge = "{judge}"
judge_model = "gpt-5-mini"
threshold = {threshold}
"""
SPLIT = """
[policy.trial]
strategy = "split"
reference_model = "claude-opus"
arms = { rule = 1, cost_aware = 3 }
"""


async def complete(mesh: Mesh, text: str, **options: object) -> pb.CompleteResponse:
    made = pb.RequestOptions(**options)  # type: ignore[arg-type]
    made.cache.no_cache = True
    request = pb.CompleteRequest(conversation=asking(text), options=made)
    response: pb.CompleteResponse = await mesh.call(mesh.router.Complete, request)
    return response


@pytest.mark.parametrize(
    ("policy", "strategy"),
    [("rule", "rule"), ("semantic", "semantic"), ("cost_aware", "cost_aware"), ("threshold", "cost_aware")],
)
async def test_explain_says_the_plan_that_complete_runs(mesh: Mesh, policy: str, strategy: str) -> None:
    text = f"Explain the plan of {policy}, please"
    options = pb.RequestOptions(policy=policy, task_hint="research")
    options.cache.no_cache = True
    explained = await mesh.call(mesh.router.Explain, pb.ExplainRequest(conversation=asking(text), options=options))
    done = await complete(mesh, text, policy=policy, task_hint="research")
    planned = [(each.model, each.dropped, each.reason) for each in explained.decision.candidates]
    assert planned == [(each.model, each.dropped, each.reason) for each in done.decision.candidates]
    assert done.decision.strategy == strategy
    first = done.decision.candidates[0]
    assert first.model == done.decision.model
    assert 0 < first.predicted_quality < 1
    assert first.evidence == EVIDENCE.EVIDENCE_PRIOR
    assert first.expected_cost.nanousd > 0


async def test_a_cascade_climbs_until_somebody_is_content_and_books_every_call(mesh: Mesh) -> None:
    never = await complete(mesh, "Climb to the top", inline_policy=LADDER.format(judge="learned", threshold=1))
    decision = never.decision
    assert (decision.strategy, decision.policy, decision.escalations) == ("cascade", "inline", 2)
    assert [attempt.model for attempt in decision.attempts] == ["gpt-5-mini", "deepseek-v3.2", "claude-opus-5-5"]
    assert [verdict.accepted for verdict in decision.verdicts] == [False, False]
    assert never.cost.nanousd == sum(attempt.cost.nanousd for attempt in decision.attempts)
    content = await complete(mesh, "Stay at the foot", inline_policy=LADDER.format(judge="checks", threshold=0.5))
    assert [attempt.model for attempt in content.decision.attempts] == ["gpt-5-mini"]
    assert content.decision.verdicts[0].accepted
    # A simulated judge rambles, so it is not believed.
    judged = await complete(mesh, "Let a model judge", inline_policy=LADDER.format(judge="model", threshold=0.5))
    assert {verdict.judge for verdict in judged.decision.verdicts} == {decision_pb2.Verdict.JUDGE_UNKNOWN}
    assert len(judged.decision.attempts) == 5


async def test_a_fault_that_a_rule_sees_is_named(mesh: Mesh) -> None:
    request = pb.CompleteRequest(conversation=asking("Say nothing"))
    request.conversation.sampling.max_output_tokens = 1
    request.options.inline_policy = LADDER.format(judge="checks", threshold=0.5)
    response = await mesh.call(mesh.router.Complete, request)
    assert "truncated" in [verdict.fault for verdict in response.decision.verdicts]


async def test_outcomes_change_what_auto_chooses(mesh: Mesh) -> None:
    tenant, task = "learning", "translation"
    metadata = (("omnisphere-tenant", tenant),)

    async def ask(text: str, policy: str = "") -> decision_pb2.Decision:
        options = pb.RequestOptions(task_hint=task, inline_policy=policy)
        options.cache.no_cache = True
        request = pb.CompleteRequest(conversation=asking(text), options=options)
        response = await mesh.router.Complete(request, metadata=metadata)
        fields.note(response)
        decision: decision_pb2.Decision = response.decision
        return decision

    async def rate(decision: decision_pb2.Decision, score: float) -> None:
        request = pb.RecordFeedbackRequest(feedback_token=decision.feedback_token, score=score)
        fields.note(await mesh.router.RecordFeedback(request, metadata=metadata))

    async def explained() -> dict[str, tuple[int, int]]:
        options = pb.RequestOptions(task_hint=task)
        options.cache.no_cache = True
        request = pb.ExplainRequest(conversation=asking("Translate: a morning"), options=options)
        response = await mesh.router.Explain(request, metadata=metadata)
        return {each.model: (each.evidence, each.outcomes) for each in response.decision.candidates}

    before = await ask("Translate: the first morning")
    assert before.strategy == "rule"
    assert set((await explained()).values()) == {(EVIDENCE.EVIDENCE_PRIOR, 0)}
    only = 'strategy = "fixed"\nreference_model = "claude-opus"\nmodels = ["{}"]'
    for model, score in ((before.model, 0.0), ("gpt-5-mini", 1.0), ("claude-opus", 1.0)):
        texts = [f"Translate for {model}: morning number {number}" for number in range(170)]
        answered = await asyncio.gather(*(ask(text, only.format(model)) for text in texts))
        await asyncio.gather(*(rate(decision, score) for decision in answered))
    after = await ask("Translate: the last morning")
    assert after.strategy == "cost_aware"
    assert after.model != before.model
    named = {candidate.model: candidate for candidate in after.candidates}
    assert (named[before.model].evidence, named[before.model].outcomes) == (EVIDENCE.EVIDENCE_LEARNED, 170)
    assert (await explained())["gpt-5-mini"] == (EVIDENCE.EVIDENCE_LEARNED, 170)
    assert named[before.model].predicted_quality < 0.4 < named["gpt-5-mini"].predicted_quality
    # Nobody else is moved.
    other = await complete(mesh, "Translate: somebody else's morning", task_hint=task)
    assert (other.decision.strategy, other.decision.model) == ("rule", before.model)
    foreign = pb.RecordFeedbackRequest(feedback_token=before.feedback_token, score=1.0)
    with pytest.raises(InvalidRequest):
        await mesh.call(mesh.router.RecordFeedback, foreign)


async def test_a_split_says_which_arm_was_drawn_and_how_probably(state: Path) -> None:
    (state / "routes.toml").write_text(SPLIT)
    async with in_one_process(state, OMNISPHERE_ROUTER_ROUTES=str(state / "routes.toml")) as mesh:
        texts = [f"Which arm is number {number}?" for number in range(40)]
        decisions = [(await complete(mesh, text, policy="trial")).decision for text in texts]
        stay = [(await complete(mesh, text, policy="trial", conversation_id="talk")).decision for text in texts[:8]]
    assert {decision.policy for decision in decisions} == {"rule", "cost_aware"}
    for decision in decisions:
        assert decision.split.policy == "trial"
        assert decision.split.propensity == pytest.approx(0.25 if decision.policy == "rule" else 0.75)
    assert len({decision.policy for decision in stay}) == 1


async def test_others_are_asked_in_the_background_and_the_books_agree(state: Path) -> None:
    async with in_one_process(state, OMNISPHERE_ROUTER_EXPLORE_SHARE="1") as mesh:
        alone = await complete(mesh, "What is 17 times 3? Answer with the number alone.", policy="rule")
        assert len(alone.decision.attempts) == 1
        count = "omnisphere_router_explored_total{"
        async with asyncio.timeout(20):
            while not sum(float(line.split()[-1]) for line in await lines(mesh, count)):  # noqa: ASYNC110 - metrics have no event to wait for
                await asyncio.sleep(0.01)
        results = {line.split('"')[1] for line in await lines(mesh, count) if not line.endswith(" 0.0")}
        assert results <= {"learned", "unknown"}
        assert 2 <= await mesh.upstream_requests() <= 3
        assert await mesh.book_differences() == []


async def lines(mesh: Mesh, start: str) -> list[str]:
    return [line for line in (await mesh.router_metrics()).splitlines() if line.startswith(start)]


async def test_what_removes_every_model_is_said(mesh: Mesh) -> None:
    with pytest.raises(NoCandidateLeft) as caught:
        await complete(mesh, "Serve me on the moon", policy="cost_aware", region_tags=["moon"])
    assert "gpt-5-mini:REGION" in caught.value.metadata["attempts"]
    only = 'strategy = "fixed"\nreference_model = "claude-opus"\nmodels = ["claude-opus"]'
    with pytest.raises(NoCandidateLeft) as caught:
        await complete(mesh, "Serve me for nothing", inline_policy=only, max_cost_nanousd=1)
    assert caught.value.metadata["attempts"] == "claude-opus-5-5:BUDGET"


async def test_a_wrong_inline_policy_is_refused_with_its_problem(mesh: Mesh) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await complete(mesh, "x", inline_policy='strategy = "magic"\nreference_model = "claude-opus"')
    assert caught.value.metadata["field"] == "options.inline_policy"
    with pytest.raises(InvalidRequest):
        await complete(mesh, "x", inline_policy=LADDER.format(judge="checks", threshold=0.5), policy="rule")
