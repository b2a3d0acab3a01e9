"""The wire format of Cohere's chat, version 2.

https://docs.cohere.com/reference/chat
"""

from __future__ import annotations

from collections.abc import Mapping

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Encoded, Framing, Target
from services.providers.adapters.cohere_chat.read import CohereChatReading
from services.providers.adapters.cohere_chat.write import written
from services.providers.adapters.headers import bearer


class CohereChat:
    """Adapter of the format; stateless."""

    framing: Framing = "sse"

    def headers(self, key: str, quirks: frozenset[str]) -> Mapping[str, str]:
        """A bearer token."""
        return bearer(key, quirks)

    def encode(self, conversation: chat_pb2.Conversation, target: Target, *, stream: bool) -> Encoded:
        """The request as JSON. What the format cannot carry comes back as degradations."""
        return written(conversation, target, stream=stream)

    def reading(self, *, model: str) -> CohereChatReading:
        """A reader for one answer."""
        return CohereChatReading(model)
