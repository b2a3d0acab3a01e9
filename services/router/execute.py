"""Walk the plan: per candidate fit, call, and on an error fall back, until one answers.

Committed means that content has been published. Before it, a failed attempt is replaced invisibly, at the model's other
keys and endpoints by the providers service, at another model here. After it, an answer that breaks off is replaced only
where every follower can take a new one, and a Restart says so; at another endpoint of the same model if there is one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from omnisphere.chat.v1 import chat_pb2
from omnisphere.model.v1 import model_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb
from services.chassis import call_context
from services.chassis.errors import (
    ContentFiltered,
    ContextTooLong,
    NoCandidateLeft,
    NoEndpoint,
    PeerUnavailable,
    ProviderAuth,
    ProviderRateLimited,
    ProviderUnavailable,
    ServiceError,
    StreamInterrupted,
    UnknownModel,
    Unpriced,
)
from services.router.collect import Collector
from services.router.fit_step import FitStep
from services.router.flight import Flight
from services.router.payment import pay_failed
from services.router.peers import ProvidersPeer
from services.router.plan import Candidate, Facts, Plan, affordable
from services.router.record import Record

# After these another model may do better. Others (a rejected request, a content filter, a deadline) would only cost.
_TRY_ANOTHER = (
    ContextTooLong,
    NoEndpoint,
    ProviderAuth,
    ProviderRateLimited,
    ProviderUnavailable,
    StreamInterrupted,
    UnknownModel,
    Unpriced,
)


class Outlet(Protocol):
    """Where an answer goes while it comes. A Flight, or Held."""

    request_id: str
    step: str

    def publish_message(self, message: chat_pb2.Message, model: str) -> None:
        """The answer in one piece."""

    def publish_delta(self, parts: Sequence[chat_pb2.PartDelta], model: str = "") -> None:
        """A piece of it."""


class Held:
    """Nobody hears of the answer before somebody has judged it."""

    def __init__(self, request_id: str) -> None:
        self.request_id = request_id
        self.step = ""

    def publish_message(self, message: chat_pb2.Message, model: str) -> None:
        """Keep quiet."""

    def publish_delta(self, parts: Sequence[chat_pb2.PartDelta], model: str = "") -> None:
        """Keep quiet."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A complete answer."""

    message: chat_pb2.Message
    finish_reason: chat_pb2.FinishReason.ValueType
    model: str
    usage: chat_pb2.Usage
    cost: chat_pb2.Cost


class Executor:
    """Asks the models of a plan."""

    def __init__(
        self,
        *,
        fit: FitStep,
        providers: ProvidersPeer,
        deadline: float,
    ) -> None:
        self._fit = fit
        self._providers = providers
        self._deadline = deadline

    async def run(
        self,
        plan: Plan,
        facts: Facts,
        conversation: chat_pb2.Conversation,
        flight: Flight,
        record: Record,
        *,
        stream: bool,
    ) -> Answered:
        """The first complete answer, its deltas published. Raises the error that the caller should see.

        After a failure, which may have cost something, a further model is asked only with what is left.
        """

        def may(candidate: Candidate) -> bool:
            return not failures or affordable(candidate.model, facts, record.decision.cost.nanousd)

        failures: list[tuple[Candidate, ServiceError]] = []
        waiting = deque(plan.candidates)
        committed = False
        while (candidate := _next(waiting, plan, failures, may)) is not None:
            if failures and failures[-1][0] is not candidate:
                record.decision.fallbacks += 1
            if committed:
                flight.publish_restart(failures[-1][1].reason(), len(record.decision.attempts) + 1)
                committed = False
            collector = Collector()
            try:
                avoid = _failed_endpoints(candidate, failures)
                return await self._ask(candidate, avoid, conversation, flight, record, collector, stream=stream)
            except ServiceError as failure:
                failures.append((candidate, failure))
                committed = not collector.is_empty
                if not _worth_another(failure, plan, committed=committed) or (committed and not flight.may_restart()):
                    break
                if committed and _has_another_endpoint(candidate, failures):
                    waiting.appendleft(candidate)
        raise summed_up(failures)

    async def ask(
        self, candidate: Candidate, conversation: chat_pb2.Conversation, outlet: Outlet, record: Record
    ) -> Answered:
        """The whole answer of one model. Raises ServiceError."""
        return await self._ask(candidate, (), conversation, outlet, record, Collector(), stream=False)

    async def _ask(
        self,
        candidate: Candidate,
        avoid: Sequence[str],
        conversation: chat_pb2.Conversation,
        flight: Outlet,
        record: Record,
        collector: Collector,
        *,
        stream: bool,
    ) -> Answered:
        flight.step = "fit"
        fitted = await self._fit.fit(candidate, conversation, record)
        flight.step = "generate"
        # Asked in either way; built once, as it holds a copy of the conversation.
        request = providers_pb.StreamGenerateRequest() if stream else providers_pb.GenerateRequest()
        generation = request.generation
        generation.model, generation.request_id = candidate.model.id, flight.request_id
        generation.purpose, generation.call_id = attempt_pb2.PURPOSE_ANSWER, call_context.new_call_id()
        generation.avoid_endpoints.extend(avoid)
        generation.region_tags.extend(record.regions)
        generation.conversation.CopyFrom(fitted)
        try:
            with record.step("generate"):
                if isinstance(request, providers_pb.StreamGenerateRequest):
                    end = await self._streamed(request, flight, collector)
                else:
                    end = await self._whole(request, flight, collector)
        except BaseException as failure:
            pay_failed(record, failure, generation.call_id)
            raise
        record.attempted(end.attempts)
        record.decision.degradations.extend(end.degradations)
        record.answered_by(candidate.model.id)
        answering = end.attempts[-1]
        return Answered(collector.message(), end.finish_reason, candidate.model.id, answering.usage, answering.cost)

    async def _streamed(
        self, request: providers_pb.StreamGenerateRequest, flight: Outlet, collector: Collector
    ) -> providers_pb.GenerationEnd:
        end: providers_pb.GenerationEnd | None = None
        async with aclosing(self._providers.stream_generate(request, self._deadline)) as events:
            async for event in events:
                if event.HasField("end"):
                    end = event.end
                    continue
                model = request.generation.model if collector.is_empty else ""
                collector.apply(event.delta)
                flight.publish_delta(event.delta.parts, model)
        if end is None:
            raise StreamInterrupted(cause="stream_truncated", provider_type="stream_truncated")
        return end

    async def _whole(
        self, request: providers_pb.GenerateRequest, flight: Outlet, collector: Collector
    ) -> providers_pb.GenerationEnd:
        response = await self._providers.generate(request, self._deadline)
        collector.take(response.message)
        flight.publish_message(response.message, request.generation.model)
        return response.end


def may_go_on(failure: ServiceError, plan: Plan) -> bool:
    """Whether another model may do better than one that failed before it said anything."""
    return _worth_another(failure, plan, committed=False)


def _worth_another(failure: ServiceError, plan: Plan, *, committed: bool) -> bool:
    """Whether another model may do better. A providers service that went away in the middle may be back by then."""
    if isinstance(failure, ContentFiltered):
        return plan.filtered_goes_on
    return isinstance(failure, _TRY_ANOTHER) or (committed and isinstance(failure, PeerUnavailable))


def _next(
    waiting: deque[Candidate],
    plan: Plan,
    failures: Sequence[tuple[Candidate, ServiceError]],
    may: Callable[[Candidate], bool],
) -> Candidate | None:
    """The next candidate. After a conversation was too long for a window, only a larger one is worth a call."""
    too_small = max(
        (tried.model.window_tokens for tried, failure in failures if isinstance(failure, ContextTooLong)), default=-1
    )
    while waiting:
        candidate = waiting.popleft()
        if candidate.model.window_tokens > too_small and may(candidate):
            return candidate
    larger, asked = plan.larger_window, {tried.model.id for tried, _ in failures}
    if too_small < 0 or larger is None or larger.model.id in asked or larger.model.window_tokens <= too_small:
        return None
    return larger if may(larger) else None


def _failed_endpoints(candidate: Candidate, failures: Sequence[tuple[Candidate, ServiceError]]) -> Sequence[str]:
    """Where this model was asked for this request before."""
    return sorted(
        {
            attempt.endpoint
            for tried, failure in failures
            if tried.model.id == candidate.model.id
            for detail in failure.details
            if isinstance(detail, attempt_pb2.AttemptsFailed)
            for attempt in detail.attempts
        }
    )


def _has_another_endpoint(candidate: Candidate, failures: Sequence[tuple[Candidate, ServiceError]]) -> bool:
    """Whether the model can be asked where it was not asked before for this request."""
    failed, asked = _failed_endpoints(candidate, failures), sum(tried is candidate for tried, _ in failures)
    ready = [each.name for each in candidate.model.endpoints if each.state == model_pb2.Endpoint.STATE_READY]
    return asked < len(ready) and not set(failed).issuperset(ready)


def summed_up(failures: Sequence[tuple[Candidate, ServiceError]]) -> ServiceError:
    """One failure speaks for itself; several are named together, with the shortest wait that any of them asks for."""
    if len(failures) == 1:
        failure = failures[0][1]
        failure.details = ()
        return failure
    waits = [failure.retry_after for _, failure in failures if failure.retry_after is not None]
    attempts = ",".join(f"{tried.model.id}:{failure.reason()}" for tried, failure in failures)
    return NoCandidateLeft(attempts=attempts, retry_after=min(waits, default=None))
