"""The Responses wire format: OpenAI's own, and that of the servers that speak it (xAI, Azure, OpenRouter).

    https://platform.openai.com/docs/api-reference/responses

A signature of this format is the reasoning item as JSON without its words: `{"id": ..., "encrypted_content": ...}`;
of another item that only the provider can read, with its type.
Quirks are named flags, as those of Chat Completions: `developer_role`, `system_role_only`, `no_sampling`,
`minimal_effort`, `api_key_header`.
"""

from __future__ import annotations

from collections.abc import Mapping

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Encoded, Framing, Target
from services.providers.adapters.headers import bearer
from services.providers.adapters.openai_responses.read import OpenAIResponsesReading
from services.providers.adapters.openai_responses.write import written


class OpenAIResponses:
    """Adapter of the format; stateless."""

    framing: Framing = "sse"

    def headers(self, key: str, quirks: frozenset[str]) -> Mapping[str, str]:
        """A bearer token, or Azure's header."""
        return bearer(key, quirks)

    def encode(self, conversation: chat_pb2.Conversation, target: Target, *, stream: bool) -> Encoded:
        """The request as JSON. What the format cannot carry comes back as degradations."""
        return written(conversation, target, stream=stream)

    def reading(self, *, model: str) -> OpenAIResponsesReading:
        """A reader for one answer."""
        return OpenAIResponsesReading(model)
