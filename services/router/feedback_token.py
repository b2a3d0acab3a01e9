"""A token that lets any replica use the feedback on an answer, and nobody make one up. Pure.

    base64url( HMAC-SHA-256(key, body)[:16] + body )      body: JSON list, see Subject

What it says is no secret of others: the caller knows its tenant, task and model. RFC 2104 for the HMAC; the comparison
takes as long for a wrong tag as for the right one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import astuple, dataclass

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
    body = json.dumps(astuple(subject), ensure_ascii=False, separators=(",", ":")).encode()
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
    subject = Subject(*json.loads(body))
    return subject if now - VALID_SECONDS <= subject.made_at <= now + VALID_SECONDS else None


def packed(noted: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(noted).decode()


def unpacked(noted: str) -> bytes:
    """Text of packed() as bytes."""
    return base64.b64decode(noted)


def _tag(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, body, hashlib.sha256)[:_TAG_BYTES]
