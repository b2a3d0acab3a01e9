"""May a request be answered from the cache, on which level, and how long may its answer be kept?

    the query has fields that this release does not know    neither        UNKNOWN_FIELDS
    it draws on automatic memory                            neither        USES_MEMORY
    temperature above 0.3, and the caller did not opt in    neither        SAMPLED
    it is larger than an entry may be                       neither        TOO_LARGE
    its answer changes by itself (now, today, prices)       exact, 60 s    VOLATILE
    it has tools, or a tool's result comes last             exact          TOOLS
    anything else                                           both

The first row that fits decides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta

from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.chat.v1 import chat_pb2
from services.cache.fingerprint import last_user_text

# An entry's question and answer together.
MOST_ENTRY_BYTES = 1024 * 1024
_HIGHEST_TEMPERATURE = 0.3
_VOLATILE_TTL = timedelta(seconds=60)
# A long text is mostly matter to work on; what is wanted stands at one of its ends. Bounds the search, too.
_END_CHARACTERS = 1_000
# English alone, whole words, on purpose generous: a word too many ("explain how X works now") shortens a life to 60 s,
# a word too few serves yesterday's weather.
_VOLATILE = re.compile(
    r"\b(?:now|nowadays|today|tonight|tomorrow|yesterday|current|currently|latest|newest|recent|recently"
    r"|prices?|weather|forecast|news|headlines|exchange rates?|at the moment|so far|up to date"
    r"|what (?:time|day|date) is|what(?:'s| is) the (?:time|date)(?= in\b|\W*$)"
    r"|(?:this|next|last) (?:morning|afternoon|evening|night|week|weekend|month|quarter|season|year))\b"
)


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Which levels may serve and keep the request, why not all of them, and the longest life (None: no own limit)."""

    exact: bool
    semantic: bool
    ttl_cap: timedelta | None
    reason: pb.CacheReason.ValueType


_BOTH = Eligibility(exact=True, semantic=True, ttl_cap=None, reason=pb.CACHE_REASON_UNSPECIFIED)
_TOOLS = Eligibility(exact=True, semantic=False, ttl_cap=None, reason=pb.CACHE_REASON_TOOLS)
_VOLATILE_ONLY = Eligibility(exact=True, semantic=False, ttl_cap=_VOLATILE_TTL, reason=pb.CACHE_REASON_VOLATILE)


def eligibility(query: pb.Query, control: pb.CacheControl) -> Eligibility:
    """What the cache may do with the request."""
    size = query.ByteSize()
    if _has_unknown_fields(query, size):
        return _neither(pb.CACHE_REASON_UNKNOWN_FIELDS)
    if query.uses_memory:
        return _neither(pb.CACHE_REASON_USES_MEMORY)
    if not control.allow_sampled and _is_sampled(query.conversation):
        return _neither(pb.CACHE_REASON_SAMPLED)
    if size > MOST_ENTRY_BYTES:
        return _neither(pb.CACHE_REASON_TOO_LARGE)
    if _is_volatile(last_user_text(query)):
        return _VOLATILE_ONLY
    conversation = query.conversation
    if conversation.tools or _ends_with_tool(conversation):
        return _TOOLS
    return _BOTH


def _neither(reason: pb.CacheReason.ValueType) -> Eligibility:
    return Eligibility(exact=False, semantic=False, ttl_cap=None, reason=reason)


def _has_unknown_fields(query: pb.Query, size: int) -> bool:
    """Whether there are fields that this release does not know, at any depth: without them it would be smaller."""
    known = pb.Query()
    known.CopyFrom(query)
    known.DiscardUnknownFields()
    return known.ByteSize() != size


def _is_sampled(conversation: chat_pb2.Conversation) -> bool:
    sampling = conversation.sampling
    # Written so that NaN counts as sampled.
    return sampling.HasField("temperature") and not sampling.temperature <= _HIGHEST_TEMPERATURE


def _is_volatile(text: str) -> bool:
    if len(text) > 2 * _END_CHARACTERS:
        text = f"{text[:_END_CHARACTERS]}\n{text[-_END_CHARACTERS:]}"
    return _VOLATILE.search(text.lower()) is not None


def _ends_with_tool(conversation: chat_pb2.Conversation) -> bool:
    return bool(conversation.messages) and conversation.messages[-1].role == chat_pb2.ROLE_TOOL
