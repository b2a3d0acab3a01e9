"""Walk a ladder: each rung but the last answers behind a curtain, is judged, and is passed on only if it was accepted.

rung fails                 the next one is asked; the last: the best answer so far is served, if there is one
answer not accepted        the next rung, as long as its expected cost is within what the request may still cost
no money, or no rung left  the best answer so far
last rung                  answers in front of everybody, unjudged, as a plan of one model would
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from services.chassis.errors import ServiceError
from services.router.execute import Answered, Executor, Held, may_go_on, summed_up
from services.router.flight import Flight
from services.router.plan import Candidate, Facts, Plan, affordable
from services.router.record import Record

# Why a further model is asked, as the Decision counts it; empty: it is the first.
_After = Literal["", "fallbacks", "escalations"]


@dataclass(frozen=True, slots=True)
class Heard:
    """The answers so far, in the order in which they came."""

    conversation: chat_pb2.Conversation
    plan: Plan
    facts: Facts
    answered: Sequence[tuple[Candidate, Answered]]


class Judge(Protocol):
    """Judges answers. Never raises for want of a model: what cannot be judged is not good."""

    async def verdict(self, heard: Heard, record: Record, request_id: str) -> tuple[decision_pb2.Verdict, int]:
        """(the verdict on the best answer so far, its place)."""


class Cascade:
    """Runs plans that are judged."""

    def __init__(self, executor: Executor, judge: Judge) -> None:
        self._executor = executor
        self._judge = judge

    async def run(
        self,
        plan: Plan,
        facts: Facts,
        conversation: chat_pb2.Conversation,
        flight: Flight,
        record: Record,
        *,
        stream: bool,
    ) -> tuple[Answered, bool]:
        """(the answer, its deltas published; whether it was accepted, or is the last rung's). Raises ServiceError."""
        answered: list[tuple[Candidate, Answered]] = []
        failures: list[tuple[Candidate, ServiceError]] = []
        best = -1
        after: _After = ""
        *rungs, last = plan.candidates
        for candidate in rungs:
            if not self._takes_over(candidate, after, facts, record):
                return self._best(answered, best, failures, flight, record), False
            held = Held(flight.request_id)
            try:
                answered.append((candidate, await self._executor.ask(candidate, conversation, held, record)))
            except ServiceError as failure:
                failures.append((candidate, failure))
                if not may_go_on(failure, plan):
                    return self._best(answered, best, failures[-1:], flight, record), False
                after = "fallbacks"
                continue
            if _filtered(answered[-1][1]) and not plan.filtered_goes_on:
                return self._serve(answered, -1, flight, record), False
            heard = Heard(conversation, plan, facts, answered)
            flight.step = "judge"
            with record.step("judge"):
                verdict, best = await self._judge.verdict(heard, record, flight.request_id)
            record.decision.verdicts.append(verdict)
            if verdict.accepted:
                return self._serve(answered, best, flight, record), True
            after = "escalations"
        if not self._takes_over(last, after, facts, record):
            return self._best(answered, best, failures, flight, record), False
        alone = replace(plan, candidates=(last,), judged=None)
        return await self._last(alone, facts, answered, best, conversation, flight, record, stream=stream)

    def _takes_over(self, candidate: Candidate, after: _After, facts: Facts, record: Record) -> bool:
        """Whether there is money for the next model; then it is counted."""
        decision = record.decision
        if not after:
            return True
        if not affordable(candidate.model, facts, decision.cost.nanousd):
            return False
        if after == "fallbacks":
            decision.fallbacks += 1
        else:
            decision.escalations += 1
        return True

    def _best(
        self,
        answered: Sequence[tuple[Candidate, Answered]],
        best: int,
        failures: Sequence[tuple[Candidate, ServiceError]],
        flight: Flight,
        record: Record,
    ) -> Answered:
        """The best answer so far. Raises ServiceError where there is none."""
        if not answered:
            raise summed_up(failures)
        return self._serve(answered, best, flight, record)

    async def _last(
        self,
        plan: Plan,
        facts: Facts,
        answered: Sequence[tuple[Candidate, Answered]],
        best: int,
        conversation: chat_pb2.Conversation,
        flight: Flight,
        record: Record,
        *,
        stream: bool,
    ) -> tuple[Answered, bool]:
        try:
            return await self._executor.run(plan, facts, conversation, flight, record, stream=stream), True
        except ServiceError as failure:
            if not answered or not flight.may_restart():
                raise
            if flight.has_content:
                flight.publish_restart(failure.reason(), len(record.decision.attempts) + 1)
            return self._serve(answered, best, flight, record), False

    def _serve(
        self, answered: Sequence[tuple[Candidate, Answered]], best: int, flight: Flight, record: Record
    ) -> Answered:
        answer = answered[best][1]
        flight.publish_message(answer.message, answer.model)
        record.answered_by(answer.model)
        record.fitted_for(answer.model)
        return answer


def _filtered(answered: Answered) -> bool:
    return answered.finish_reason == chat_pb2.FINISH_REASON_CONTENT_FILTER
