"""Which requests are the same request: canonical bytes of a query under its tenant, and their digests.

    canonical = length of the scope part + scope part + last user text
    scope part = format, tenant, epoch, query without its last user text; each with its length before it

The query travels as protobuf bytes, and bytes parse back to the message: two queries that differ in any field, in the
presence of an optional one or in the Unicode form of a text have different bytes, and a field that the contract gains
is part of them by itself. Another protobuf library may order bytes otherwise; that costs misses, never a wrong hit.
Left out is what does not reach the model: when a message was said, which ones are pinned, where a provider's prompt
cache should break.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NewType

from omnisphere.cache.v1.cache_service_pb2 import Query
from omnisphere.chat.v1 import chat_pb2

Fingerprint = NewType("Fingerprint", bytes)

# Raise it whenever the layout above changes: entries of other layouts are then never found.
FORMAT = 1
_LENGTH = struct.Struct(">Q")
# Tenants and namespaces come again and again.
_MOST_KNOWN = 1_024


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, boiled down to what decides its answer.

    `scope` is the SHA-256 of the scope part: equal for requests that differ in the last user text alone.
    `fingerprint` is the SHA-256 of `scope` and the last user text.
    """

    canonical: bytes
    scope: bytes
    fingerprint: Fingerprint


def fingerprint_of(query: Query, *, tenant: str, epoch: str) -> Asked:
    """The request under its tenant. `query` stays as it is."""
    bare = Query()
    bare.CopyFrom(query)
    bare.region_tags.sort()
    if _has_marks(bare.conversation.messages):
        _clear_marks(bare.conversation.messages)
    text = _take_last_text(bare).encode()
    scope = wall(tenant, epoch) + _with_length(bare.SerializeToString(deterministic=True))
    return digest(_LENGTH.pack(len(scope)) + scope + text)


@lru_cache(maxsize=_MOST_KNOWN)
def wall(tenant: str, epoch: str) -> bytes:
    """How the scope part of every request of the tenant begins, in this layout and epoch."""
    return b"".join(_with_length(piece) for piece in (str(FORMAT).encode(), tenant.encode(), epoch.encode()))


def namespace_of(query: Query, tenant: str) -> bytes:
    """What shares one threshold: a tenant's requests to one model or policy, with one task hint."""
    return _namespace((tenant, query.model, query.policy_hash, query.task_hint, str(query.simulated)))


@lru_cache(maxsize=_MOST_KNOWN)
def _namespace(named: tuple[str, ...]) -> bytes:
    return hashlib.blake2b(b"".join(_with_length(piece.encode()) for piece in named), digest_size=16).digest()


def is_behind(wall: bytes, canonical: bytes, begin: int = 0, end: int | None = None) -> bool:
    """Whether canonical bytes, from `begin` to `end` of these, are those of a request behind that wall."""
    return canonical.startswith(wall, begin + _LENGTH.size, end)


def _with_length(piece: bytes) -> bytes:
    return _LENGTH.pack(len(piece)) + piece


def digest(canonical: bytes) -> Asked:
    """The digests of canonical bytes. Raises ValueError where they are none."""
    scope, fingerprint = _digests(canonical)
    return Asked(canonical, scope, fingerprint)


def belongs(fingerprint: bytes, canonical: bytes) -> bool:
    """Whether it is the fingerprint of these bytes. Raises ValueError where they are no canonical bytes."""
    return _digests(canonical)[1] == fingerprint


def _digests(canonical: bytes) -> tuple[bytes, Fingerprint]:
    if len(canonical) < _LENGTH.size:
        raise ValueError("too short")
    end = _LENGTH.size + _LENGTH.unpack_from(canonical)[0]
    if end > len(canonical):
        raise ValueError("cut off")
    scope = hashlib.sha256(canonical[_LENGTH.size : end]).digest()
    return scope, Fingerprint(hashlib.sha256(scope + canonical[end:]).digest())


def scope_part(canonical: bytes) -> bytes:
    """What canonical bytes of the same scope begin with."""
    return canonical[: _LENGTH.size + _LENGTH.unpack_from(canonical)[0]]


def last_text(canonical: bytes) -> str:
    """The last user text that canonical bytes end with."""
    return canonical[_LENGTH.size + _LENGTH.unpack_from(canonical)[0] :].decode()


def last_user_text(query: Query) -> str:
    """The last text of the user's last message, also where other messages follow it; empty where it has none."""
    part = _last_text_part(query)
    return "" if part is None else part.text


def _last_text_part(query: Query) -> chat_pb2.Part | None:
    for message in reversed(query.conversation.messages):
        if message.role == chat_pb2.ROLE_USER:
            return next((part for part in reversed(message.parts) if part.HasField("text")), None)
    return None


def _take_last_text(query: Query) -> str:
    """Empty the last user text and return it. The part stays a text, so that its place is still told."""
    part = _last_text_part(query)
    if part is None:
        return ""
    text = part.text
    part.text = ""
    return text


def _has_marks(messages: Iterable[chat_pb2.Message]) -> bool:
    """Whether there may be something to clear. Tool results hold parts of their own: looked through when clearing."""
    for message in messages:
        if message.role == chat_pb2.ROLE_TOOL or message.pinned or message.HasField("sent_at"):
            return True
        for part in message.parts:
            if part.cache_breakpoint:
                return True
    return False


def _clear_marks(messages: Iterable[chat_pb2.Message]) -> None:
    for message in messages:
        message.ClearField("sent_at")
        message.ClearField("pinned")
        parts = list(message.parts)
        while parts:
            part = parts.pop()
            part.ClearField("cache_breakpoint")
            if part.HasField("tool_result"):
                parts.extend(part.tool_result.parts)
