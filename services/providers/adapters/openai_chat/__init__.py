"""The Chat Completions wire format: OpenAI's own, and that of every compatible server.

    https://platform.openai.com/docs/api-reference/chat

Quirks of vendors and models are named flags:

    max_completion_tokens  the newer name of the limit
    developer_role         system messages go out as developer
    cache_marks            marks of the prompt cache go out as Anthropic's (OpenRouter)
    system_role_only       developer messages go out as system
    no_sampling            temperature and top_p are refused
    no_stream_options      there is no such field: usage comes anyway (Mistral)
    random_seed            Mistral's name of the seed
    minimal_effort         the least effort is "minimal", not "none"
    verbosity              there is such a setting (OpenAI since GPT-5)
    no_reasoning_effort    there is no such setting
    thinking_switch        it is `thinking: {type: enabled | disabled}` (DeepSeek, Moonshot)
    reasoning_content      thoughts go back in this field (DeepSeek, Moonshot)
    reasoning_details      thoughts go back in this field with their proofs, else as `reasoning` (OpenRouter)
    thinking_content       thoughts go back as a piece of the content (Mistral)
    api_key_header         the key stands in `api-key` (Azure)
"""

from __future__ import annotations

from collections.abc import Mapping

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Encoded, Framing, Target
from services.providers.adapters.headers import bearer
from services.providers.adapters.openai_chat.read import OpenAIChatReading
from services.providers.adapters.openai_chat.write import written


class OpenAIChat:
    """Adapter of the format; stateless."""

    framing: Framing = "sse"

    def headers(self, key: str, quirks: frozenset[str]) -> Mapping[str, str]:
        """A bearer token, or Azure's header."""
        return bearer(key, quirks)

    def encode(self, conversation: chat_pb2.Conversation, target: Target, *, stream: bool) -> Encoded:
        """The request as JSON. What the format cannot carry comes back as degradations."""
        return written(conversation, target, stream=stream)

    def reading(self, *, model: str) -> OpenAIChatReading:
        """A reader for one answer."""
        return OpenAIChatReading(model)
