"""The journey of one request: admit -> look up -> plan -> execute -> store -> record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis import call_context
from services.chassis.clock import Clock
from services.chassis.errors import Internal, NoCandidateLeft, NoEndpoint, NotFound, ServiceError
from services.chassis.logs import Log
from services.chassis.tasks import cancelled
from services.router.admit import Ask, admit
from services.router.after import AfterAnswer
from services.router.books import Books, ended_with
from services.router.cache_step import CacheStep
from services.router.cascade_run import Cascade
from services.router.catalog import Catalogue, CatalogueKeeper
from services.router.collect import Collector
from services.router.execute import Answered, Executor
from services.router.fit_step import FitStep
from services.router.flight import Event, Flight, Follower
from services.router.learning.explore import Explorer
from services.router.learning.outcomes import Answer, Outcomes
from services.router.metrics import RouterMetrics
from services.router.plan import Facts, Plan
from services.router.planner import Planner
from services.router.policy_keeper import PolicyKeeper
from services.router.record import Record
from services.router.single_flight import Flights
from services.router.tasks.finder import TaskFinder


@dataclass(frozen=True, slots=True)
class Delivery:
    """How the caller wants the answer; not part of what it is."""

    stream: bool
    restartable: bool
    # Deltas at once; nothing is judged.
    fast: bool = False


@dataclass(frozen=True, slots=True)
class Boarded:
    """One request and the flight that answers it. `arrived` is on the monotonic clock."""

    flight: Flight
    follower: Follower
    ask: Ask
    arrived: float


class Pipeline:
    """Answers requests."""

    def __init__(
        self,
        *,
        policies: PolicyKeeper,
        catalogue: CatalogueKeeper,
        cache: CacheStep,
        fit: FitStep,
        tasks: TaskFinder,
        planner: Planner,
        executor: Executor,
        cascade: Cascade,
        outcomes: Outcomes,
        explorer: Explorer,
        flights: Flights,
        after: AfterAnswer,
        metrics: RouterMetrics,
        log: Log,
        clock: Clock,
        deadline: float,
        books: Books,
    ) -> None:
        self._policies = policies
        self._catalogue = catalogue
        self._cache = cache
        self._fit = fit
        self._tasks = tasks
        self._planner = planner
        self._executor = executor
        self._cascade = cascade
        self._outcomes = outcomes
        self._explorer = explorer
        self._flights = flights
        self._after = after
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._deadline = deadline
        self._books = books
        # Journeys that are under way.
        self._flying: set[asyncio.Task[None]] = set()

    async def stop(self) -> None:
        """All callers are gone: end what is still under way, and have it booked."""
        await cancelled(self._flying)

    async def complete(self, request: pb.CompleteRequest) -> pb.CompleteResponse:
        """The whole answer: the events of answer(), collected. Raises ServiceError."""
        boarded = self._board(request, Delivery(stream=False, restartable=True))
        collector, end = Collector(), pb.End()
        async with aclosing(self._followed(boarded)) as events:
            async for event in events:
                match event.WhichOneof("event"):
                    case "delta" if boarded.flight.message is None:
                        collector.apply(event.delta)
                    case "restart":
                        collector = Collector()
                    case "end":
                        end = event.end
        return pb.CompleteResponse(
            message=boarded.flight.message or collector.message(),
            finish_reason=end.finish_reason,
            usage=end.usage,
            cost=end.cost,
            decision=end.decision,
        )

    async def answer(
        self, request: pb.CompleteRequest | pb.StreamCompleteRequest, delivery: Delivery
    ) -> AsyncGenerator[Event, None]:
        """The events of the answer: started, deltas and restarts, end; then the error, where there is one."""
        async with aclosing(self._followed(self._board(request, delivery))) as events:
            async for event in events:
                yield event

    def _board(self, request: pb.CompleteRequest | pb.StreamCompleteRequest, delivery: Delivery) -> Boarded:
        """Admit the request, and find the flight that answers it, or send one off. Raises ServiceError."""
        now = self._clock.monotonic()
        call = call_context.current()
        ask = admit(request, call, self._policies.current, now=now)
        call_context.enter(call.named(ask.request_id))
        flight = self._flights.find(ask, now)
        leads = flight is None
        if flight is None:
            flight = Flight(ask.request_id, ask.content, self._clock)
            self._flights.add(ask, flight)
            journey = flight.depart(lambda departed: self._fly(departed, ask, delivery))
            self._flying.add(journey)
            journey.add_done_callback(self._flying.discard)
        else:
            self._flights.join(ask, flight)
            self._metrics.joined.labels("request_id" if flight.request_id == ask.request_id else "content").inc()
        deadline = call.deadline or now + self._deadline
        follower = Follower(ask.request_id, delivery.restartable, deadline, leads, whole=not delivery.stream)
        return Boarded(flight, follower, ask, now)

    async def _followed(self, boarded: Boarded) -> AsyncGenerator[Event, None]:
        """What the follower sees. Who shares an answer is booked here, however that ends; who leads, by the flight."""
        end, reason = pb.End(), "CANCELLED"
        try:
            async with aclosing(boarded.flight.follow(boarded.follower)) as events:
                async for event in events:
                    if event.HasField("end"):
                        end = event.end
                    yield event
            reason = ""
        except ServiceError as failure:
            reason = failure.reason()
            raise
        finally:
            if not boarded.follower.leads:
                if not end.HasField("decision"):
                    end = boarded.flight.unfinished(boarded.follower).end
                elif end.finish_reason != chat_pb2.FINISH_REASON_ERROR:
                    reason = ""  # all of it was taken
                ended = ended_with(self._clock, boarded.arrived, end.finish_reason, reason)
                self._books.joined(boarded.ask, end.decision, ended)

    async def explain(self, request: pb.ExplainRequest) -> pb.ExplainResponse:
        """What answer() would do, up to the first call to a model."""
        call = call_context.current()
        ask = admit(request, call, self._policies.current, now=self._clock.monotonic())
        record = Record(ask, self._clock)
        wanted = self._tasks.wants_vector(ask, record.decision.task_source)
        simulated = self._catalogue.current.simulated
        hit = await self._cache.look_up(ask, record, simulated=simulated, peek=True, want_vector=wanted)
        if hit is None:
            if ask.control.only_if_cached:
                raise _not_cached()
            catalogue = await self._catalogue.needed()
            plan, facts = await self._plan(ask, catalogue, record, trial=True)
            record.planned(plan, facts)
            record.foretold(facts)
        else:
            self._hit(hit, ask, record)
        return pb.ExplainResponse(decision=record.decision)

    async def _fly(self, flight: Flight, ask: Ask, delivery: Delivery) -> None:
        """The journey, once for all who follow. Whatever happens, the flight ends and the request is booked."""
        call = call_context.current()
        call_context.enter(call.until(self._clock.monotonic() + self._deadline))
        record = Record(ask, self._clock)
        flight.decision = record.decision
        reason, finish_reason = "CANCELLED", chat_pb2.FINISH_REASON_ERROR
        try:
            finish_reason = await self._journey(flight, ask, delivery, record)
            reason = ""
            flight.end(_end(finish_reason, record))
        except Exception as failure:
            error = self._as_service_error(failure)
            reason = error.reason()
            flight.end(_end(chat_pb2.FINISH_REASON_ERROR, record), error)
        finally:
            if reason:
                simulated = self._catalogue.current.simulated
                self._after.add(lambda: self._cache.give_up(ask, simulated=simulated))
            self._flights.landed(ask, flight)
            ended = ended_with(self._clock, record.started, finish_reason, reason, flight.first_delta_at)
            self._books.landed(ask, record, ended)

    async def _journey(
        self, flight: Flight, ask: Ask, delivery: Delivery, record: Record
    ) -> chat_pb2.FinishReason.ValueType:
        flight.step = "look_up"
        simulated = self._catalogue.current.simulated
        wanted = self._tasks.wants_vector(ask, record.decision.task_source)
        hit = await self._cache.look_up(ask, record, simulated=simulated, peek=False, want_vector=wanted)
        if hit is not None:
            return self._from_cache(hit, flight, ask, record)
        if ask.control.only_if_cached:
            raise _not_cached()
        flight.step = "plan"
        catalogue = await self._catalogue.needed()
        plan, facts = await self._plan(ask, catalogue, record, fast=delivery.fast)
        flight.publish_started(record.planned(plan, facts))
        if not plan.candidates:
            raise _nobody(ask, plan)
        if facts.outlook is not None and not facts.outlook.is_made:
            _when_sent(facts.outlook.forecast)
        stream, accepted = delivery.stream, True
        if plan.judged is None:
            answered = await self._executor.run(plan, facts, ask.conversation, flight, record, stream=stream)
        else:
            answered, accepted = await self._cascade.run(plan, facts, ask.conversation, flight, record, stream=stream)
        record.saved(catalogue, ask.policy.row.reference_model, answered.usage, cached=None)
        self._learnable(ask, plan, facts, answered, record)
        if accepted and not _unjudged(ask, delivery):
            self._store(ask, answered, simulated=catalogue.simulated)
        self._tell_context(ask, answered, record)
        return answered.finish_reason

    async def _plan(
        self, ask: Ask, catalogue: Catalogue, record: Record, *, fast: bool = False, trial: bool = False
    ) -> tuple[Plan, Facts]:
        with record.step("plan"):
            if self._catalogue.stale:
                record.degraded(chat_pb2.Degradation.KIND_CATALOGUE_STALE, "providers")
            await self._tasks.refine(ask, record)
            task = record.decision.task_type
            plan, facts = self._planner.plan(ask, task, catalogue, fast=fast, trial=trial)
        return await self._fit.with_window(plan, facts, ask.conversation, record), facts

    def _learnable(self, ask: Ask, plan: Plan, facts: Facts, answered: Answered, record: Record) -> None:
        """Note how long the answer was, let the caller say how good, and perhaps ask others the same."""
        record.foretold(facts)
        self._planner.answered(record.decision.task_type, answered.model, answered.usage)

        def answer_of(model: str, propensity: float = ask.propensity) -> Answer:
            return Answer(
                tenant=ask.tenant,
                request_id=ask.request_id,
                task_type=record.decision.task_type,
                model=model,
                propensity=propensity,
                noted=facts.forecast.note(model),
            )

        record.decision.feedback_token = self._outcomes.token(answer_of(answered.model))
        for verdict in record.decision.verdicts:
            # What was learned already would only confirm itself; and rules that speak of bad answers alone would make
            # every model look worse with every request.
            if verdict.judge == decision_pb2.Verdict.JUDGE_MODEL:
                self._outcomes.found(answer_of(verdict.model), verdict.confidence, "judge")
        if plan.judged is None:
            self._explorer.consider(ask, plan, facts, answered, record, answer_of)

    def _from_cache(
        self, hit: cache_pb.CachedReply, flight: Flight, ask: Ask, record: Record
    ) -> chat_pb2.FinishReason.ValueType:
        flight.publish_started([])
        flight.publish_message(hit.message, hit.model)
        self._hit(hit, ask, record)
        return hit.finish_reason

    def _hit(self, hit: cache_pb.CachedReply, ask: Ask, record: Record) -> None:
        catalogue = self._catalogue.current
        record.answered_by(hit.model)
        record.decision.simulated = catalogue.simulated
        record.saved(catalogue, ask.policy.row.reference_model, hit.usage, hit.cost)

    def _store(self, ask: Ask, answered: Answered, *, simulated: bool) -> None:
        reply = cache_pb.CachedReply(
            message=answered.message,
            finish_reason=answered.finish_reason,
            model=answered.model,
            usage=answered.usage,
            cost=answered.cost,
        )
        self._after.add(lambda: self._cache.store(ask, reply, simulated=simulated))

    def _tell_context(self, ask: Ask, answered: Answered, record: Record) -> None:
        """What the model counted, and what is to be remembered; behind the answer."""
        if record.count_ref:
            self._after.add(lambda: self._fit.report(record.count_ref, answered.usage))
        if record.conversation_id:
            self._after.add(lambda: self._fit.remember(ask, answered.message))

    def _as_service_error(self, failure: Exception) -> ServiceError:
        if isinstance(failure, ServiceError):
            return failure
        error = Internal.with_id()
        self._log.error("flight_failed", failure, error_id=error.metadata["error_id"])
        return error


def _when_sent(work: Callable[[], object]) -> None:
    """Do it while the model works: a call that begins now is on its way two turns of the loop later."""
    loop = asyncio.get_running_loop()
    loop.call_soon(loop.call_soon, work)


def _not_cached() -> ServiceError:
    return NotFound(name="a cached answer")


def _unjudged(ask: Ask, delivery: Delivery) -> bool:
    """Whether the policy judges answers, and this one was not to be: it is not kept for others."""
    return delivery.fast and ask.policy.row.strategy == "cascade"


def _nobody(ask: Ask, plan: Plan) -> ServiceError:
    """No model is left: what removed each."""
    if ask.model:
        return NoEndpoint(model=ask.model)
    removed = decision_pb2.Candidate.Dropped.Name
    reasons = ",".join(
        f"{candidate.model.id}:{removed(candidate.dropped).removeprefix('DROPPED_')}" for candidate in plan.dropped
    )
    return NoCandidateLeft(attempts=reasons)


def _end(finish_reason: chat_pb2.FinishReason.ValueType, record: Record) -> pb.End:
    decision = record.decision
    return pb.End(finish_reason=finish_reason, usage=decision.usage, cost=decision.cost, decision=decision)
