"""The wire format of Google's generateContent: the Gemini API, and Vertex AI's.

    https://ai.google.dev/api/generate-content

Quirks are named flags: `thinking_level` (thinking has a level, not a budget), `thought_signature_required` (a call
without a signature is refused), `no_reasoning_effort` (the model does not think), `bearer_key` (Vertex AI's token).
"""

from __future__ import annotations

from collections.abc import Mapping

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Encoded, Framing, Target
from services.providers.adapters.gemini_generate.read import GeminiGenerateReading
from services.providers.adapters.gemini_generate.write import written
from services.providers.adapters.headers import google


class GeminiGenerate:
    """Adapter of the format; stateless."""

    framing: Framing = "sse"

    def headers(self, key: str, quirks: frozenset[str]) -> Mapping[str, str]:
        """The key in Google's header."""
        return google(key, quirks)

    def encode(self, conversation: chat_pb2.Conversation, target: Target, *, stream: bool) -> Encoded:
        """The request as JSON. What the format cannot carry comes back as degradations."""
        return written(conversation, target, stream=stream)

    def reading(self, *, model: str) -> GeminiGenerateReading:
        """A reader for one answer."""
        return GeminiGenerateReading(model)
