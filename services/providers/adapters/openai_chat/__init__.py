"""The Chat Completions wire format: OpenAI's own, and that of every compatible server.

    https://platform.openai.com/docs/api-reference/chat

Quirks of vendors are named flags: `max_completion_tokens` (the newer name of the limit), `developer_role` (system
messages go out as developer), `system_role_only` (developer messages go out as system).
"""

from __future__ import annotations

from collections.abc import Mapping

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Encoded, Framing, Target
from services.providers.adapters.openai_chat.read import OpenAIChatReading
from services.providers.adapters.openai_chat.write import written


class OpenAIChat:
    """Adapter of the format; stateless."""

    framing: Framing = "sse"

    def headers(self, key: str, quirks: frozenset[str]) -> Mapping[str, str]:
        """A bearer token."""
        del quirks
        return {"authorization": f"Bearer {key}"} if key else {}

    def encode(self, conversation: chat_pb2.Conversation, target: Target, *, stream: bool) -> Encoded:
        """The request as JSON. What the format cannot carry comes back as degradations."""
        return written(conversation, target, stream=stream)

    def reading(self, *, model: str) -> OpenAIChatReading:
        """A reader for one answer."""
        del model  # the format has no signatures that would name it
        return OpenAIChatReading()
