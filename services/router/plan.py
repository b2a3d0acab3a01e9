"""Plan: which models are asked, in which order, and why. The nouns of planning and its hard filters. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omnisphere.chat.v1 import chat_pb2
from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import decision_pb2
from services.router.catalog import embeds, list_price

# What an answer is assumed to take before outcomes are known: tokens of output, bytes per token of input.
TYPICAL_OUTPUT_TOKENS = 300
_BYTES_PER_TOKEN = 4
_NEEDS_TO_CAPABILITY = {
    "tools": model_pb2.CAPABILITY_TOOLS,
    "image": model_pb2.CAPABILITY_IMAGES,
    "document": model_pb2.CAPABILITY_DOCUMENTS,
    "schema": model_pb2.CAPABILITY_JSON_SCHEMA,
}
_PARTS_THAT_NEED = frozenset({"image", "document"})
_Dropped = decision_pb2.Candidate.Dropped


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that was considered. `dropped` other than UNSPECIFIED: it is not asked."""

    model: model_pb2.Model
    reason: str
    dropped: decision_pb2.Candidate.Dropped.ValueType = _Dropped.DROPPED_UNSPECIFIED


@dataclass(frozen=True, slots=True)
class Plan:
    """The models in the order in which they are asked, and those that were considered and dropped.

    `substituted` names models of the policy whose place another one took. `larger_window` is asked only after the
    conversation was too long for others. `filtered_goes_on`: a content filter's refusal is a failure like others.
    """

    strategy: str
    candidates: tuple[Candidate, ...]
    dropped: tuple[Candidate, ...] = ()
    substituted: tuple[str, ...] = ()
    larger_window: Candidate | None = None
    filtered_goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What a strategy may know of a request."""

    task_type: str
    models: Sequence[model_pb2.Model]
    needs: frozenset[str]
    # Tokens of input are at most this; the real count is a fraction of it.
    input_bytes: int
    output_tokens: int


def facts_of(
    conversation: chat_pb2.Conversation, kinds: frozenset[str], task_type: str, models: Sequence[model_pb2.Model]
) -> Facts:
    """The facts of one request; `kinds` are those of its messages' parts."""
    needs = kinds & _PARTS_THAT_NEED
    if conversation.tools:
        needs |= {"tools"}
    if conversation.response_format.kind == chat_pb2.ResponseFormat.KIND_JSON_SCHEMA:
        needs |= {"schema"}
    sampling = conversation.sampling
    limit = sampling.max_output_tokens if sampling.HasField("max_output_tokens") else TYPICAL_OUTPUT_TOKENS
    return Facts(task_type, models, needs, input_bound(conversation), min(limit, TYPICAL_OUTPUT_TOKENS))


def input_bound(conversation: chat_pb2.Conversation) -> int:
    """Bytes of everything that a model reads: byte-level tokenizers never make more tokens than bytes.

    The serialised size bounds the text and its framing; pictures and files count as bytes too, which is far too much,
    so that a conversation with them visits the context service.
    """
    return conversation.ByteSize()


def unfit(model: model_pb2.Model, facts: Facts) -> decision_pb2.Candidate.Dropped.ValueType:
    """Why this model cannot take the request; UNSPECIFIED: it can."""
    if not model.endpoints:
        return _Dropped.DROPPED_NO_ENDPOINT
    if all(endpoint.state == model_pb2.Endpoint.STATE_RESTING for endpoint in model.endpoints):
        return _Dropped.DROPPED_RESTING
    if embeds(model) or any(_NEEDS_TO_CAPABILITY[need] not in model.capabilities for need in facts.needs):
        return _Dropped.DROPPED_CAPABILITY
    return _Dropped.DROPPED_UNSPECIFIED


def expected_cost(model: model_pb2.Model, facts: Facts) -> chat_pb2.Cost:
    """What the model will probably cost."""
    usage = chat_pb2.Usage(
        input_uncached_tokens=-(-facts.input_bytes // _BYTES_PER_TOKEN), output_tokens=facts.output_tokens
    )
    return list_price(model, usage)


def described(plan: Plan, facts: Facts) -> list[decision_pb2.Candidate]:
    """The candidates as the Decision shows them, the planned ones first."""
    return [
        decision_pb2.Candidate(
            model=candidate.model.id,
            expected_cost=expected_cost(candidate.model, facts),
            dropped=candidate.dropped,
            reason=candidate.reason,
        )
        for candidate in (*plan.candidates, *plan.dropped)
    ]
