"""Plan: which models are asked, in which order, and why. The nouns of planning and its hard filters. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from omnisphere.chat.v1 import chat_pb2
from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import decision_pb2
from services.router.forecast import Forecast, Outlook, Prediction
from services.router.traits import Traits, traits_of

# What an answer is assumed to take before outcomes are known: tokens of output, bytes per token of input.
TYPICAL_OUTPUT_TOKENS = 300
_BYTES_PER_TOKEN = 4
# What a message of one text part of 128 to 16,383 bytes takes beside the text.
_FRAMING_BYTES = 11
_MOST_OUTPUT_TOKENS = 1_000_000
_NEEDS_TO_CAPABILITY = {
    "tools": model_pb2.CAPABILITY_TOOLS,
    "image": model_pb2.CAPABILITY_IMAGES,
    "document": model_pb2.CAPABILITY_DOCUMENTS,
    "schema": model_pb2.CAPABILITY_JSON_SCHEMA,
}
_PARTS_THAT_NEED = frozenset({"image", "document"})
_Dropped = decision_pb2.Candidate.Dropped
_NOTHING = Forecast()
# Looked up once: an enum's names are looked up by text each time, and this is asked of every model.
_SUITS, _NO_ENDPOINT = _Dropped.DROPPED_UNSPECIFIED, _Dropped.DROPPED_NO_ENDPOINT


class Candidate(NamedTuple):
    """A model that was considered. `dropped` other than UNSPECIFIED: it is not asked."""

    model: model_pb2.Model
    reason: str
    dropped: decision_pb2.Candidate.Dropped.ValueType = _Dropped.DROPPED_UNSPECIFIED


@dataclass(frozen=True, slots=True)
class Plan:
    """The models in the order in which they are asked, and those that were considered and dropped.

    `substituted` names models of the policy whose place another one took. `larger_window` is asked only after the
    conversation was too long for others. `filtered_goes_on`: a content filter's refusal is a failure like others.
    `judged`: a further model is asked also where an answer is not good enough; unset: only after errors.
    """

    strategy: str
    candidates: tuple[Candidate, ...]
    dropped: tuple[Candidate, ...] = ()
    substituted: tuple[str, ...] = ()
    larger_window: Candidate | None = None
    filtered_goes_on: bool = False
    judged: Judged | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """How the answers of a cascade are weighed.

    Good enough is `threshold`; where that is 0, what the last model would add is set against its price, a dollar being
    worth `rate` in quality. `price_usd`: that price where training foretells it; else it is that of the list.
    """

    rate: float
    threshold: float
    judge: Literal["learned", "model", "checks"]
    judge_model: str = ""
    price_usd: float | None = None

    @property
    def is_taught(self) -> bool:
        """Whether training found this ladder and taught its verifier."""
        return self.price_usd is not None


@dataclass(frozen=True)
class Facts:
    """What a strategy may know of a request."""

    task_type: str
    models: Sequence[model_pb2.Model]
    needs: frozenset[str]
    # Tokens of input are at most this; the real count is a fraction of it.
    input_bytes: int
    output_tokens: int
    most_output_tokens: int = TYPICAL_OUTPUT_TOKENS
    # Where the request may be served; none: anywhere.
    regions: frozenset[str] = frozenset()
    # The names or aliases of the only models that may be asked; none: all.
    allowed: frozenset[str] = frozenset()
    # What the request may cost, in 1e-9 USD; None: anything.
    max_cost_nanousd: int | None = None
    outlook: Outlook | None = None
    # How many bytes of the input are not text but its wrapping.
    framing_bytes: int = 0
    # Of the models, where they were read before.
    traits: Mapping[str, Traits] = field(default_factory=dict)

    def traits_of(self, model: model_pb2.Model) -> Traits:
        """The traits of one of the models."""
        return self.traits.get(model.id) or traits_of(model)

    @property
    def forecast(self) -> Forecast:
        """What is predicted; made when it is first asked for."""
        return self.outlook.forecast() if self.outlook is not None else _NOTHING

    @property
    def predictions(self) -> Mapping[str, Prediction]:
        """What is predicted, by concrete id."""
        return self.forecast.models

    @cached_property
    def input_tokens(self) -> int:
        """A guess at the tokens of input: as training counts, by the bytes of what was written."""
        return -(-max(0, self.input_bytes - self.framing_bytes) // _BYTES_PER_TOKEN)


def facts_of(
    conversation: chat_pb2.Conversation, kinds: frozenset[str], task_type: str, models: Sequence[model_pb2.Model]
) -> Facts:
    """The facts of one conversation; `kinds` are those of its messages' parts."""
    needs = kinds & _PARTS_THAT_NEED
    if conversation.tools:
        needs |= {"tools"}
    if conversation.response_format.kind == chat_pb2.ResponseFormat.KIND_JSON_SCHEMA:
        needs |= {"schema"}
    sampling = conversation.sampling
    limit = sampling.max_output_tokens if sampling.HasField("max_output_tokens") else None
    return Facts(
        task_type,
        models,
        needs,
        input_bytes=input_bound(conversation),
        output_tokens=TYPICAL_OUTPUT_TOKENS if limit is None else min(limit, TYPICAL_OUTPUT_TOKENS),
        most_output_tokens=_MOST_OUTPUT_TOKENS if limit is None else limit,
        framing_bytes=_FRAMING_BYTES * len(conversation.messages),
    )


def input_bound(conversation: chat_pb2.Conversation) -> int:
    """Bytes of everything that a model reads: byte-level tokenizers never make more tokens than bytes.

    The serialised size bounds the text and its framing; pictures and files count as bytes too, which is far too much,
    so that a conversation with them visits the context service.
    """
    return conversation.ByteSize()


def unfit(model: model_pb2.Model, facts: Facts) -> decision_pb2.Candidate.Dropped.ValueType:
    """Why this model cannot take the request; UNSPECIFIED: it can."""
    traits = facts.traits_of(model)
    if traits.unable != _SUITS:
        return traits.unable
    if facts.needs and any(_NEEDS_TO_CAPABILITY[need] not in traits.capabilities for need in facts.needs):
        return _Dropped.DROPPED_CAPABILITY
    if facts.regions and all(facts.regions.isdisjoint(tags) for tags in traits.regions):
        return _Dropped.DROPPED_REGION
    if facts.allowed and facts.allowed.isdisjoint(traits.names):
        return _Dropped.DROPPED_NOT_ALLOWED
    if facts.max_cost_nanousd is not None:
        cost = expected_nanousd(model, facts)
        if cost is None or cost > facts.max_cost_nanousd:  # unpriced is not free
            return _Dropped.DROPPED_BUDGET
    return _SUITS


def suited(facts: Facts) -> tuple[list[model_pb2.Model], list[Candidate]]:
    """(the models that can take the request, the others with the reason)."""
    fit: list[model_pb2.Model] = []
    dropped: list[Candidate] = []
    for model in facts.models:
        why = unfit(model, facts)
        if why == _SUITS:
            fit.append(model)
        elif why != _NO_ENDPOINT and not facts.traits_of(model).embeds:
            dropped.append(Candidate(model, "", why))
    return fit, dropped


def expected_cost(model: model_pb2.Model, facts: Facts) -> chat_pb2.Cost:
    """What the model will probably cost."""
    nanousd = expected_nanousd(model, facts)
    return chat_pb2.Cost(nanousd=nanousd or 0, priced=nanousd is not None)


def expected_nanousd(model: model_pb2.Model, facts: Facts) -> int | None:
    """The same in 1e-9 USD, None: not priced. Its output as long as its answers were in this task, where known."""
    output, outlook = facts.output_tokens, facts.outlook
    known = outlook.output_tokens(model.id) if outlook is not None else None
    if known is not None:
        output = min(known, facts.most_output_tokens)
    return facts.traits_of(model).list_price_nanousd(facts.input_tokens, output)


def affordable(model: model_pb2.Model, facts: Facts, spent_nanousd: int) -> bool:
    """Whether the request may still cost what this model will probably take; one without a price is not free."""
    if facts.max_cost_nanousd is None:
        return True
    expected = expected_nanousd(model, facts)
    return expected is not None and spent_nanousd + expected <= facts.max_cost_nanousd


def described(plan: Plan, facts: Facts) -> list[decision_pb2.Candidate]:
    """The candidates as the Decision shows them, the planned ones first; with predictions where there are any yet."""
    predictions = facts.predictions if facts.outlook is not None and facts.outlook.is_made else {}
    return [
        decision_pb2.Candidate(
            model=candidate.model.id,
            expected_cost=expected_cost(candidate.model, facts),
            dropped=candidate.dropped,
            reason=candidate.reason,
            **predicted(predictions.get(candidate.model.id)),
        )
        for candidate in (*plan.candidates, *plan.dropped)
    ]


def predicted(prediction: Prediction | None) -> dict[str, Any]:
    """A prediction as fields of a Candidate."""
    if prediction is None:
        return {}
    return {
        "predicted_quality": prediction.quality,
        "evidence": prediction.evidence,
        "outcomes": prediction.outcomes,
    }
