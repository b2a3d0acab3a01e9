"""Judges the answers of a cascade: rules first, then what was learned, or another model. Unknown is never good."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb
from omnisphere.router.v1 import decision_pb2
from services.chassis import call_context
from services.chassis.errors import ServiceError
from services.router.cascade_run import Heard
from services.router.catalog import named
from services.router.execute import Answered
from services.router.judge import Verdict, Verifier
from services.router.judge.agreement import Answer
from services.router.judge.asking import INSTRUCTION, MOST_TOKENS, parsed, prompt
from services.router.judge.checks import LOOKS, findings
from services.router.judge.scores import scores
from services.router.judge.short_answer import extracted
from services.router.payment import Payer, pay_failed
from services.router.peers import ProvidersPeer
from services.router.plan import Facts, affordable, expected_cost
from services.router.quality.estimator import log_odds
from services.router.record import Record
from services.router.strategies.cascade import State
from services.router.tasks.classify import last_user_text

_JUDGE = decision_pb2.Verdict.Judge
_SECONDS = 20.0


class AnswerJudge:
    """See cascade_run.Judge. `verifier` is the learned one."""

    def __init__(self, providers: ProvidersPeer, verifier: Verifier) -> None:
        self._providers = providers
        self._verifier = verifier

    async def verdict(self, heard: Heard, record: Record, request_id: str) -> tuple[decision_pb2.Verdict, int]:
        """(what is thought of the best answer so far, its place). Raises nothing."""
        candidate, answered = heard.answered[-1]
        newest = len(heard.answered) - 1
        found = decision_pb2.Verdict(model=candidate.model.id)
        judged = heard.plan.judged
        problem = _fault(answered, heard)
        if problem:
            found.judge, found.fault = _JUDGE.JUDGE_CHECKS, problem
            return found, max(0, newest - 1)
        if judged is None or judged.judge == "checks" or answered.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS:
            found.judge, found.accepted = _JUDGE.JUDGE_CHECKS, True
            found.confidence = self._prior(heard, candidate.model.id)
            return found, newest
        state = self._state(heard)
        if judged.judge == "model":
            good = None
            if _affordable(heard.facts, judged.judge_model, record.decision.cost.nanousd):
                good = await self._grade(heard, answered, record, request_id, record.regions, judged.judge_model)
            verdict = None if good is None else Verdict(newest, good)
            found.judge = _JUDGE.JUDGE_MODEL
        else:
            verdict = self._verifier.verdict(state.asked())
            found.judge = _JUDGE.JUDGE_LEARNED
        if verdict is None:
            found.judge = _JUDGE.JUDGE_UNKNOWN
            return found, newest
        found.confidence = verdict.good
        found.model = heard.answered[verdict.served][0].model.id
        found.accepted = verdict.good >= judged.threshold if judged.threshold else state.takes(verdict, judged.rate)
        return found, verdict.served

    def _state(self, heard: Heard) -> State:
        """The cascade as training knew it: who answered and what, and who would be asked in the end."""
        facts, last = heard.facts, heard.plan.candidates[-1].model
        price = heard.plan.judged.price_usd if heard.plan.judged is not None else None
        models = (*(candidate.model.id for candidate, _ in heard.answered), last.id)
        return State(
            models=models,
            priors=[float(odds) for odds in log_odds(np.array([self._prior(heard, model) for model in models]))],
            mean=facts.forecast.mean(),
            options=facts.forecast.options,
            in_tokens=facts.input_tokens,
            tasks=facts.forecast.kinds,
            price_usd=expected_cost(last, facts).nanousd * 1e-9 if price is None else price,
            answers=tuple(
                Answer(extracted(_text(answered.message), facts.forecast.options), answered.usage.output_tokens)
                for _, answered in heard.answered
            ),
        )

    async def scores(
        self, heard: Heard, payer: Payer, request_id: str, regions: Sequence[str], judge_model: str
    ) -> list[float | None]:
        """See explore.Grader. What a rule finds a fault in is not good, whatever anybody says."""
        faults = [bool(_fault(answered, heard)) for _, answered in heard.answered]
        said: Sequence[float | None] | None = None
        if judge_model:
            purpose = attempt_pb2.PURPOSE_SHADOW
            said = [
                None if bad else await self._grade(heard, answered, payer, request_id, regions, judge_model, purpose)
                for bad, (_, answered) in zip(faults, heard.answered, strict=True)
            ]
        else:
            asked = self._state(heard).asked()
            verdict = self._verifier.verdict(asked)
            said = None if verdict is None else scores(asked, verdict)
        known = said or [None] * len(faults)
        return [0.0 if bad else good for bad, good in zip(faults, known, strict=True)]

    def comparable(self, answered: Answered, facts: Facts) -> bool:
        """See explore.Grader."""
        return extracted(_text(answered.message), facts.forecast.options) is not None

    async def _grade(
        self,
        heard: Heard,
        answered: Answered,
        payer: Payer,
        request_id: str,
        regions: Sequence[str],
        model: str,
        purpose: attempt_pb2.Purpose.ValueType = attempt_pb2.PURPOSE_JUDGE,
    ) -> float | None:
        """One answer's grade of a judge model; None: it failed, came too late, or said nothing of use."""
        request = _judge_request(heard.conversation, answered, model, request_id, regions)
        request.generation.purpose = purpose
        try:
            response = await self._providers.generate(request, _SECONDS)
        except BaseException as failure:  # a judge whose verdict nobody waits for any more is paid, too
            pay_failed(payer, failure, request.generation.call_id, expected_nanousd=_about(heard.facts, model))
            if isinstance(failure, ServiceError):
                return None
            raise
        payer.attempted(response.end.attempts)
        return parsed(_text(response.message))

    def _prior(self, heard: Heard, model: str) -> float:
        prediction = heard.facts.predictions.get(model)
        return prediction.quality if prediction else 0.5


def _affordable(facts: Facts, name: str, spent_nanousd: int) -> bool:
    """Whether the request may still cost what the judge will probably take; of one unknown here its call will say."""
    model = named(facts.models, name)
    return model is None or affordable(model, facts, spent_nanousd)


def _about(facts: Facts, name: str) -> int:
    """What a judge's grade costs, in 1e-9 USD: about as much as the request itself."""
    model = named(facts.models, name)
    return 0 if model is None else expected_cost(model, facts).nanousd


def _judge_request(
    conversation: chat_pb2.Conversation, answered: Answered, model: str, request_id: str, regions: Sequence[str]
) -> providers_pb.GenerateRequest:
    request = providers_pb.GenerateRequest()
    generation = request.generation
    generation.model, generation.request_id = model, request_id
    generation.call_id = call_context.new_call_id()
    generation.region_tags.extend(regions)
    asking = generation.conversation
    asking.messages.add(role=chat_pb2.ROLE_SYSTEM).parts.add(text=INSTRUCTION)
    question = prompt(last_user_text(conversation), _text(answered.message))
    asking.messages.add(role=chat_pb2.ROLE_USER).parts.add(text=question)
    asking.sampling.temperature, asking.sampling.max_output_tokens = 0.0, MOST_TOKENS
    return request


def _fault(answered: Answered, heard: Heard) -> str:
    """The first thing that a rule finds wrong; empty: nothing.

    A verifier that was trained on this ladder has seen answers that loop or break off, and knows better what they are
    worth: on recorded outcomes, overruling it for an answer's looks cost more and gained nothing.
    """
    conversation = heard.conversation
    calls = [part.tool_call for part in answered.message.parts if part.WhichOneof("content") == "tool_call"]
    if calls:
        return "" if all(_is_object(call.arguments_json) for call in calls) else "schema"
    text, cut_off = _text(answered.message), answered.finish_reason == chat_pb2.FINISH_REASON_LENGTH
    schema = _schema(conversation.response_format)
    found = findings(last_user_text(conversation), text, cut_off=cut_off, schema=schema)
    is_taught = heard.plan.judged is not None and heard.plan.judged.is_taught
    if is_taught and not cut_off:
        found = tuple(finding for finding in found if finding not in LOOKS)
    return found[0].value if found else ""


def _schema(wanted: chat_pb2.ResponseFormat) -> Mapping[str, Any] | None:
    match wanted.kind:
        case chat_pb2.ResponseFormat.KIND_JSON_OBJECT:
            return {"type": "object"}
        case chat_pb2.ResponseFormat.KIND_JSON_SCHEMA:
            schema = json.loads(wanted.schema_json)
            return schema if isinstance(schema, dict) else {}
        case _:
            return None


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text or "{}"), dict)
    except ValueError:
        return False


def _text(message: chat_pb2.Message) -> str:
    return "\n".join(part.text for part in message.parts if part.WhichOneof("content") == "text")
