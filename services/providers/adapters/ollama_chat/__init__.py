"""The wire format of Ollama's own chat API: a JSON document per line.

    https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion

Quirk: `thinking_level` (the model takes a word for its effort, not a switch).
"""

from __future__ import annotations

from collections.abc import Mapping

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Encoded, Framing, Target
from services.providers.adapters.headers import bearer
from services.providers.adapters.ollama_chat.read import OllamaChatReading
from services.providers.adapters.ollama_chat.write import written


class OllamaChat:
    """Adapter of the format; stateless."""

    framing: Framing = "ndjson"

    def headers(self, key: str, quirks: frozenset[str]) -> Mapping[str, str]:
        """A bearer token, where there is a key: a local server wants none."""
        return bearer(key, quirks)

    def encode(self, conversation: chat_pb2.Conversation, target: Target, *, stream: bool) -> Encoded:
        """The request as JSON. What the format cannot carry comes back as degradations."""
        return written(conversation, target, stream=stream)

    def reading(self, *, model: str) -> OllamaChatReading:
        """A reader for one answer."""
        return OllamaChatReading(model)
