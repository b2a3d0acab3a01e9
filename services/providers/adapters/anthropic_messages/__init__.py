"""The wire format of Anthropic's Messages API.

    https://platform.claude.com/docs/en/api/messages

Quirks of models are named flags: `adaptive_thinking` (the model takes an effort, and decides its budget itself),
`no_sampling` (temperature and top_p are refused).
"""

from __future__ import annotations

from collections.abc import Mapping

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Encoded, Framing, Target
from services.providers.adapters.anthropic_messages.read import AnthropicMessagesReading
from services.providers.adapters.anthropic_messages.write import written

_VERSION = "2023-06-01"


class AnthropicMessages:
    """Adapter of the format; stateless."""

    framing: Framing = "sse"

    def headers(self, key: str, quirks: frozenset[str]) -> Mapping[str, str]:
        """The version, and the key in a header of its own."""
        del quirks
        return {"anthropic-version": _VERSION} | ({"x-api-key": key} if key else {})

    def encode(self, conversation: chat_pb2.Conversation, target: Target, *, stream: bool) -> Encoded:
        """The request as JSON. What the format cannot carry comes back as degradations."""
        return written(conversation, target, stream=stream)

    def reading(self, *, model: str) -> AnthropicMessagesReading:
        """A reader for one answer."""
        return AnthropicMessagesReading(model)
