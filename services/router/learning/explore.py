"""Asks other models of the policy what one has answered, off the caller's path, to learn how good they are.

A share of requests, drawn by the request's id. Asked are the reference model, which all others are measured by, and
the one of which fewest outcomes are known, the cheaper one first; only models that the policy may choose, that may take
the request, and that the purse can pay. The answers are judged side by side, each becomes an outcome of source
`shadow`, and nobody but the predictor hears of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from omnisphere.chat.v1 import chat_pb2
from omnisphere.model.v1 import model_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb
from omnisphere.router.v1 import decision_pb2
from services.chassis.errors import ServiceError
from services.router.admit import Ask
from services.router.cascade_run import Heard
from services.router.catalog import named
from services.router.execute import Answered
from services.router.learning.outcomes import Answer, Outcomes
from services.router.learning.shadow import Purse, Shadow
from services.router.payment import Payer, pay_failed
from services.router.peers import ProvidersPeer
from services.router.plan import Candidate, Facts, Plan, expected_cost, suited
from services.router.record import Record

_OTHERS = 2  # with one alone a right answer and a wrong one cannot be told apart
_ASK_SECONDS = 60.0


class Grader(Protocol):
    """Judges answers side by side."""

    async def scores(
        self, heard: Heard, payer: Payer, request_id: str, regions: Sequence[str], judge_model: str
    ) -> list[float | None]:
        """How probably each answer is good; None: unknown. Raises nothing."""

    def comparable(self, answered: Answered, facts: Facts) -> bool:
        """Whether another answer could agree with this one."""


@dataclass(frozen=True, slots=True)
class _Found:
    """An answer, and what it takes to ask others the same."""

    ask: Ask
    plan: Plan
    facts: Facts
    answered: Answered
    others: Sequence[model_pb2.Model]
    answer_of: Callable[[str, float], Answer]


class Explorer:
    """Decides which requests others are asked, too, and has them asked. `share`: from 0, none, to 1, all."""

    def __init__(
        self,
        shadow: Shadow,
        providers: ProvidersPeer,
        grader: Grader,
        outcomes: Outcomes,
        *,
        share: float,
        counted: Callable[[str], None],
    ) -> None:
        self._shadow = shadow
        self._providers = providers
        self._grader = grader
        self._outcomes = outcomes
        self._share = share
        self._counted = counted

    def consider(
        self,
        ask: Ask,
        plan: Plan,
        facts: Facts,
        answered: Answered,
        record: Record,
        answer_of: Callable[[str, float], Answer],
    ) -> None:
        """Perhaps have others asked later. `answer_of` makes the Answer of a model, with a propensity."""
        if ask.model or not self._share or not drawn(ask.request_id, self._share):
            return
        if not self._worth_it(ask, facts, answered, record):
            return
        others = _others(ask, facts, answered.model)
        if not others:
            return
        found = _Found(ask, plan, facts, answered, others, answer_of)

        async def work(purse: Purse) -> str:
            return await self._explored(found, purse)

        self._shadow.add(work, self._counted)

    def _worth_it(self, ask: Ask, facts: Facts, answered: Answered, record: Record) -> bool:
        if record.conversation_id or record.decision.HasField("context") or ask.conversation.tools:
            return False
        if answered.finish_reason != chat_pb2.FINISH_REASON_STOP:
            return False
        return _judge_model(ask) != "" or self._grader.comparable(answered, facts)

    async def _explored(self, found: _Found, purse: Purse) -> str:
        heard = [(_candidate(found, found.answered.model), found.answered)]
        for model in found.others:
            cost = expected_cost(model, found.facts)
            if cost.priced and cost.nanousd <= purse.left:
                answered = await self._asked(model, found, purse)
                if answered is not None:
                    heard.append((_candidate(found, model.id), answered))
        if len(heard) == 1:
            return "no_answer"
        heard.sort(key=lambda one: expected_cost(one[0].model, found.facts).nanousd)
        ask = found.ask
        if not _may_be_judged(found, len(heard), purse):
            return "budget"
        together = Heard(ask.conversation, found.plan, found.facts, heard)
        scores = await self._grader.scores(together, purse, ask.request_id, ask.options.region_tags, _judge_model(ask))
        for (candidate, _), score in zip(heard, scores, strict=True):
            if score is not None:
                self._outcomes.found(found.answer_of(candidate.model.id, self._share), score, "shadow")
        return "unknown" if all(score is None for score in scores) else "learned"

    async def _asked(self, model: model_pb2.Model, found: _Found, purse: Purse) -> Answered | None:
        request = providers_pb.GenerateRequest()
        generation = request.generation
        generation.model, generation.request_id = model.id, found.ask.request_id
        generation.purpose = attempt_pb2.PURPOSE_SHADOW
        generation.conversation.CopyFrom(found.ask.conversation)
        generation.region_tags.extend(found.ask.options.region_tags)
        try:
            response = await self._providers.generate(request, _ASK_SECONDS)
        except ServiceError as failure:
            pay_failed(purse, failure, expected_nanousd=expected_cost(model, found.facts).nanousd)
            return None
        end = response.end
        purse.attempted(end.attempts)
        last = end.attempts[-1]
        return Answered(response.message, end.finish_reason, model.id, last.usage, last.cost)


def drawn(request_id: str, share: float) -> bool:
    """Whether this request is one of the share; the same wherever it is asked."""
    digest = hashlib.sha256(b"explore/" + request_id.encode()).digest()
    return int.from_bytes(digest[:6], "big") < share * 2**48


def _others(ask: Ask, facts: Facts, answered: str) -> list[model_pb2.Model]:
    """The models to ask, the reference model first."""
    row = ask.policy.row
    reference = named(facts.models, row.reference_model)
    allowed = row.names() - {row.judge_model} if row.tasks else set(row.models)
    fit = [
        model
        for model in suited(facts)[0]
        if model.id != answered and (not allowed or not allowed.isdisjoint((model.id, *model.aliases)))
    ]

    def rank(model: model_pb2.Model) -> tuple[bool, int, int, str]:
        prediction = facts.predictions.get(model.id)
        known = prediction.outcomes if prediction else 0
        return model is not reference, known, expected_cost(model, facts).nanousd, model.id

    return sorted(fit, key=rank)[:_OTHERS]


def _candidate(found: _Found, model: str) -> Candidate:
    (listed,) = (each for each in found.facts.models if each.id == model)
    return Candidate(listed, "shadow", decision_pb2.Candidate.DROPPED_UNSPECIFIED)


def _may_be_judged(found: _Found, answers: int, purse: Purse) -> bool:
    """Whether the purse can pay the judge, where it is a model: for each answer about as much as for an answer."""
    judge = named(found.facts.models, _judge_model(found.ask))
    if judge is None:
        return True
    cost = expected_cost(judge, found.facts)
    return cost.priced and answers * cost.nanousd <= purse.left


def _judge_model(ask: Ask) -> str:
    """The model that judges, where the policy has one; else what is learned does."""
    row = ask.policy.row
    return row.judge_model if row.judge == "model" else ""
