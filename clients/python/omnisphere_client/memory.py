"""What a conversation remembers: the questions to MemoryService, and one item that was kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from omnisphere.context.v1 import context_service_pb2 as context_pb
from omnisphere.router.v1 import memory_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class MemoryItem:
    """One thing that was kept."""

    id: str
    text: str
    tags: tuple[str, ...]
    remembered_at: datetime
    score: float  # how well it answers the query; higher is better

    @classmethod
    def of(cls, item: context_pb.MemoryItem) -> MemoryItem:
        """From the contract's message."""
        kept_at = item.remembered_at.ToDatetime(tzinfo=UTC)
        return cls(item.id, item.text, tuple(item.tags), kept_at, item.score)


def remember_request(
    texts: str | Sequence[str], *, conversation_id: str, tags: Sequence[str], ttl: timedelta | None
) -> pb.RememberRequest:
    """Says what to keep."""
    request = pb.RememberRequest(conversation_id=conversation_id)
    for text in [texts] if isinstance(texts, str) else texts:
        request.items.add(text=text, tags=tags)
    if ttl is not None:
        request.ttl.FromTimedelta(ttl)
    return request


def forget_request(*, conversation_id: str, ids: Sequence[str], tag: str) -> pb.ForgetRequest:
    """Says what to forget."""
    if isinstance(ids, str):
        raise TypeError("ids are several: give a list")
    return pb.ForgetRequest(conversation_id=conversation_id, ids=ids, tag=tag)
