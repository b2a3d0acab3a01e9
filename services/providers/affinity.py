"""Where a conversation's beginning is warm: the endpoint and key whose prompt cache has seen it. No I/O."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from omnisphere.chat.v1 import chat_pb2

# Providers cache from 1,024 tokens on, for 5 minutes and more after the last use.
_LEAST_BYTES = 4_096
_SECONDS = 300.0
_MOST = 10_000

Place = tuple[str, str]


class WarmPlaces:
    """Beginnings of conversations -> (endpoint, key id), the last used ones."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._places: OrderedDict[bytes, tuple[Place, float]] = OrderedDict()

    def find(self, beginning: bytes, now: float) -> Place | None:
        """Where it is warm still."""
        found = self._places.get(beginning)
        return found[0] if found and found[1] > now else None

    def note(self, beginning: bytes, place: Place, now: float) -> None:
        """It was just read there."""
        self._places[beginning] = (place, now + _SECONDS)
        self._places.move_to_end(beginning)
        if len(self._places) > self._most:
            self._places.popitem(last=False)


def beginning_of(tenant: str, model: str, conversation: chat_pb2.Conversation) -> bytes:
    """What stays the same from turn to turn: tools, and messages up to the first user's. Empty: too short to matter.

    Two that differ have different digests; the same one at another tenant is another one.
    """
    if conversation.ByteSize() < _LEAST_BYTES:
        return b""
    digest = hashlib.blake2b(f"{len(tenant)}:{tenant}{model}".encode(), digest_size=16)
    for tool in conversation.tools:
        digest.update(tool.SerializeToString(deterministic=True))
    for message in conversation.messages:
        digest.update(message.SerializeToString(deterministic=True))
        if message.role == chat_pb2.ROLE_USER:
            break
    return digest.digest()
