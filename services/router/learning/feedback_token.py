"""A token that lets any replica use the feedback on an answer, and nobody make one up. Pure.

    base64url( BLAKE2b-128(key, body) + body )      body: JSON list, see Subject

What it says is no secret of others: the caller knows its tenant, task and model. RFC 7693, section 2.9, for the keyed
hash; the comparison takes as long for a wrong tag as for the right one. Made for every answer of a model.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache

import orjson

_TAG_BYTES = 16
_MOST_CHARACTERS = 2_048
VALID_SECONDS = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Subject:
    """What the feedback is on. `made_at` is Unix time, `propensity` how probable the choice of the model was."""

    tenant: str
    request_id: str
    task_type: str
    model: str
    made_at: int
    propensity: float
    # What the prediction left to learn from, packed().
    noted: str


def sign(subject: Subject, key: bytes) -> str:
    """The token."""
    body = orjson.dumps(
        (
            subject.tenant,
            subject.request_id,
            subject.task_type,
            subject.model,
            subject.made_at,
            subject.propensity,
            subject.noted,
        )
    )
    return base64.urlsafe_b64encode(_tag(body, key) + body).decode().rstrip("=")


def read(token: str, key: bytes, *, now: float) -> Subject | None:
    """What a token of ours is on; None: it is none of ours, or too old. `now` is Unix time."""
    if len(token) > _MOST_CHARACTERS:
        return None
    try:
        data = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError):
        return None
    tag, body = data[:_TAG_BYTES], data[_TAG_BYTES:]
    if not hmac.compare_digest(tag, _tag(body, key)):
        return None
    subject = Subject(*orjson.loads(body))
    return subject if now - VALID_SECONDS <= subject.made_at <= now + VALID_SECONDS else None


def packed(noted: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(noted).decode()


def unpacked(noted: str) -> bytes:
    """Text of packed() as bytes."""
    return base64.b64decode(noted)


def _tag(body: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(body, key=_short(key), digest_size=_TAG_BYTES).digest()


@lru_cache(maxsize=16)
def _short(key: bytes) -> bytes:
    """Of any length; a key of BLAKE2b has at most 64 bytes."""
    return hashlib.sha256(key).digest()
