"""What the side methods give back, as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from omnisphere.router.v1 import admin_service_pb2 as admin_pb
from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere_client.completion import Completion, Cost, Usage

Grouping: TypeAlias = Literal["model", "task", "day", "tenant"]

_GROUPINGS: dict[str, pb.UsageGrouping.ValueType] = {
    "model": pb.USAGE_GROUPING_MODEL,
    "task": pb.USAGE_GROUPING_TASK,
    "day": pb.USAGE_GROUPING_DAY,
    "tenant": pb.USAGE_GROUPING_TENANT,
}


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What was used under one combination of keys."""

    keys: tuple[str, ...]  # one per grouping, in its order
    requests: int
    usage: Usage
    cost: Cost
    cache_savings_nanousd: int  # what cached answers once cost
    routing_savings_nanousd: int  # the reference model's price less the cost; estimated

    @classmethod
    def of(cls, row: pb.UsageRow) -> UsageRow:
        """From the contract's message."""
        return cls(
            tuple(row.keys),
            row.requests,
            Usage.of(row.usage),
            Cost.of(row.cost),
            row.cache_savings_nanousd,
            row.routing_savings_nanousd,
        )


@dataclass(frozen=True, slots=True)
class Embeddings:
    """One vector per text, in order, and what they took."""

    vectors: list[list[float]]
    usage: Usage
    cost: Cost
    model: str  # the concrete id; vectors of different models cannot be compared
    simulated: bool  # they mean nothing

    @classmethod
    def of(cls, response: pb.EmbedResponse) -> Embeddings:
        """From the contract's message."""
        vectors = [list(embedding.values) for embedding in response.embeddings]
        return cls(vectors, Usage.of(response.usage), Cost.of(response.cost), response.model, response.simulated)


def usage_request(since: datetime | None, until: datetime | None, group_by: Sequence[Grouping]) -> pb.GetUsageRequest:
    """Asks what was used; times must say their zone."""
    request = pb.GetUsageRequest(group_by=[_GROUPINGS[name] for name in group_by])
    if since is not None:
        request.since.FromDatetime(_aware(since))
    if until is not None:
        request.until.FromDatetime(_aware(until))
    return request


def embed_request(texts: Sequence[str], *, model: str, dimensions: int | None, request_id: str) -> pb.EmbedRequest:
    """Asks for vectors."""
    if isinstance(texts, str):
        raise TypeError("texts is one text; a list of texts is needed")
    return pb.EmbedRequest(model=model, texts=texts, dimensions=dimensions, request_id=request_id)


def feedback_request(answer: Completion | str, score: float) -> pb.RecordFeedbackRequest:
    """Says how good an answer was; `answer` may be the feedback token alone."""
    token = answer if isinstance(answer, str) else answer.decision.feedback_token
    return pb.RecordFeedbackRequest(feedback_token=token, score=score)


def invalidate_request(
    *,
    entry_id: str,
    tag: str,
    model: str,
    everything: bool,
    scope_of_entry_id: str,
    new_epoch: bool,
    dry_run: bool,
) -> admin_pb.InvalidateRequest:
    """Says which cache entries to forget."""
    return admin_pb.InvalidateRequest(
        entry_id=entry_id,
        tag=tag,
        model=model,
        all=everything,
        scope_of_entry_id=scope_of_entry_id,
        new_epoch=new_epoch,
        dry_run=dry_run,
    )


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a time without a zone means another moment on every machine; use datetime.now(UTC)")
    return moment
