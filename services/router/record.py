"""The Decision of one request while it is being made: every step adds what it found, and the ledger keeps it."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Protocol

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.context.v1 import context_service_pb2 as context_pb
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.router.v1 import decision_pb2
from services.chassis.clock import Clock
from services.router.admit import Ask, remembers
from services.router.catalog import Catalogue, list_price
from services.router.payment import Payer, Unsaid
from services.router.plan import Facts, Plan, described
from services.router.tasks.classify import TASK_TYPES, classify

_TOKEN_CLASSES = (
    "input_uncached_tokens",
    "input_cache_read_tokens",
    "input_cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)

# A Decision travels with every answer, so it names only so many turns that were cut.
_HANDLES = 64


class Tally(Payer, Protocol):
    """What the books need of any request: its decision, and calls that ended without a word of what they cost."""

    decision: decision_pb2.Decision
    unsettled: list[str]
    # On the monotonic clock.
    started: float


class Record:
    """Collects the Decision of one request."""

    def __init__(self, ask: Ask, clock: Clock) -> None:
        self.decision = decision_pb2.Decision(
            request_id=ask.request_id,
            policy="" if ask.model else ask.policy.name,
            policy_hash=ask.policy_hash,
        )
        if ask.split:
            self.decision.split.policy, self.decision.split.propensity = ask.split, ask.propensity
        row = ask.policy.row
        known = row.tasks or TASK_TYPES
        task, source = classify(ask.conversation, ask.options.task_hint, known, row.default_task)
        self.decision.task_type, self.decision.task_source = task, source
        self.decision.cost.priced = True
        self.decision.usage.SetInParent()
        # Calls to models that ended without a word of what they cost: the providers' books know.
        self.unsettled: list[str] = []
        self.started = clock.monotonic()
        # The conversation whose memory is asked for and added to; empty: none.
        self.conversation_id = ask.options.conversation_id if remembers(ask.options) else ""
        # Where the request may be served; none: anywhere.
        self.regions = tuple(ask.options.region_tags)
        # The vector of the prompt, where the cache made one on a miss.
        self.embedding = cache_pb.Vector()
        # Of the count that the conversation was fitted with, for the report of what the model counted.
        self.count_ref = ""
        # What the context service said, by model.
        self.fits: dict[str, context_pb.FitResponse] = {}
        self._clock = clock

    def step(self, name: str) -> Step:
        """Measures the block as one step."""
        return Step(self.decision, name, self._clock)

    def degraded(self, kind: chat_pb2.Degradation.Kind.ValueType, subject: str) -> None:
        """Something is not done as asked; said once, however many models it concerns."""
        said = chat_pb2.Degradation(kind=kind, subject=subject)
        if said not in self.decision.degradations:
            self.decision.degradations.append(said)

    def found_task(self, task: str, source: decision_pb2.TaskSource.ValueType) -> None:
        """The task type, and how it was found."""
        self.decision.task_type, self.decision.task_source = task, source

    def planned(self, plan: Plan, facts: Facts) -> list[decision_pb2.Candidate]:
        """The plan; hands back the planned candidates as callers see them."""
        self.decision.strategy = plan.strategy
        candidates = described(plan, facts)
        self.decision.candidates.extend(candidates)
        for name in plan.substituted:
            self.degraded(chat_pb2.Degradation.KIND_MODEL_SUBSTITUTED, name)
        return candidates[: len(plan.candidates)]

    def foretold(self, facts: Facts) -> None:
        """What is predicted of the candidates, also where the plan did without."""
        for candidate in self.decision.candidates:
            prediction = facts.predictions.get(candidate.model)
            if prediction is not None and not candidate.evidence:
                candidate.predicted_quality, candidate.evidence, candidate.outcomes = prediction

    def looked_up(self, response: cache_pb.LookUpResponse) -> None:
        """What the cache said."""
        cache = self.decision.cache
        cache.outcome, cache.reason, cache.entry_id = response.outcome, response.reason, response.entry_id
        cache.similarity, cache.confidence, cache.threshold = (
            response.similarity,
            response.confidence,
            response.threshold,
        )
        cache.veto = response.veto
        self.embedding = response.embedding
        if response.HasField("stored_at"):
            cache.stored_at.CopyFrom(response.stored_at)

    def fitted(self, response: context_pb.FitResponse) -> None:
        """What was cut for the model that is asked next."""
        self._cut(response)
        self.decision.degradations.extend(response.degradations)

    def fitted_for(self, model: str) -> None:
        """The answer of a model is given that was asked before others: what was cut is what was cut for it."""
        self.decision.ClearField("context")
        self.count_ref = ""
        if model in self.fits:
            self._cut(self.fits[model])

    def _cut(self, response: context_pb.FitResponse) -> None:
        context = self.decision.context
        self.count_ref = response.count_ref
        context.policy = response.policy
        context.tokens_before = response.before.upper_bound
        context.tokens_after = response.after.upper_bound
        context.messages_dropped = sum(unit.messages for unit in response.decisions if not unit.kept)
        context.messages_retrieved = sum(
            unit.messages for unit in response.decisions if unit.reason == context_pb.UnitDecision.REASON_RETRIEVED
        )
        context.tokens_warm = response.warm_tokens
        cut = [unit.handle for unit in response.decisions if not unit.kept]
        context.handles.extend(cut[-_HANDLES:])

    def attempted(self, attempts: Iterable[attempt_pb2.Attempt]) -> None:
        """See Payer."""
        add_attempts(self.decision, attempts)

    def unsaid(self, call: Unsaid) -> None:
        """See Payer. The providers are asked behind the answer."""
        self.unsettled.append(call.call_id)
        self.decision.cost.priced = False  # until they have said it

    def answered_by(self, model: str) -> None:
        """The model whose answer is given."""
        self.decision.model = model

    def saved(self, catalogue: Catalogue, reference: str, answer: chat_pb2.Usage, cached: chat_pb2.Cost | None) -> None:
        """Compare with asking the reference model for the tokens of `answer`; `cached`: what a hit once cost."""
        savings = self.decision.savings
        savings.estimated = True
        if cached is not None:
            savings.cache_nanousd = cached.nanousd
        model = catalogue.find(reference)
        if model is None:
            return
        savings.reference_model = model.id
        savings.reference_nanousd = list_price(model, answer).nanousd
        if cached is None:
            savings.routing_nanousd = savings.reference_nanousd - self.decision.cost.nanousd


class Step:
    """Measures a block. A class and not a generator: it is entered several times per request."""

    __slots__ = ("_clock", "_decision", "_name", "_started")

    def __init__(self, decision: decision_pb2.Decision, name: str, clock: Clock) -> None:
        self._decision = decision
        self._name = name
        self._clock = clock

    def __enter__(self) -> None:
        self._started = self._clock.monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        nanos = int((self._clock.monotonic() - self._started) * 1e9)
        latency = self._decision.steps.add(step=self._name).latency
        latency.seconds, latency.nanos = divmod(nanos, 1_000_000_000)


def add_attempts(decision: decision_pb2.Decision, attempts: Iterable[attempt_pb2.Attempt]) -> None:
    """Number the attempts and add them to a decision, with their tokens and money."""
    for attempt in attempts:
        mine = decision.attempts.add()
        mine.CopyFrom(attempt)
        mine.number = len(decision.attempts)
        add_usage(decision.usage, attempt.usage)
        decision.cost.nanousd += attempt.cost.nanousd
        decision.cost.priced &= attempt.cost.priced
        decision.simulated |= attempt.simulated


def add_usage(total: chat_pb2.Usage, more: chat_pb2.Usage) -> None:
    """Add `more` to `total`, class by class; an estimate in it makes the total one."""
    for name in _TOKEN_CLASSES:
        setattr(total, name, getattr(total, name) + getattr(more, name))
    total.estimated |= more.estimated
