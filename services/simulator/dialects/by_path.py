"""Which dialect an address speaks."""

from __future__ import annotations

from services.simulator.dialects import Dialect
from services.simulator.dialects.anthropic_messages import AnthropicMessages
from services.simulator.dialects.gemini_generate import GeminiGenerate
from services.simulator.dialects.openai_chat import OpenAIChat
from services.simulator.dialects.openai_responses import OpenAIResponses

OPENAI_CHAT: Dialect = OpenAIChat()
_GEMINI = GeminiGenerate()
_BY_START: tuple[tuple[str, Dialect], ...] = (
    ("/v1/messages", AnthropicMessages()),
    ("/v1/responses", OpenAIResponses()),
    ("/v1/models/", _GEMINI),
    ("/v1beta/", _GEMINI),
)


def dialect_of(path: str) -> Dialect:
    """Chat Completions wherever nothing else is said."""
    return next((dialect for start, dialect in _BY_START if path.startswith(start)), OPENAI_CHAT)
