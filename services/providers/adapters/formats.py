"""The wire formats by their names, as configuration spells them."""

from __future__ import annotations

from collections.abc import Mapping

from services.providers.adapters import Adapter, EmbeddingsAdapter, WireFormat
from services.providers.adapters.anthropic_messages import AnthropicMessages
from services.providers.adapters.cohere_chat import CohereChat
from services.providers.adapters.gemini_embeddings import GeminiEmbeddings
from services.providers.adapters.gemini_generate import GeminiGenerate
from services.providers.adapters.ollama_chat import OllamaChat
from services.providers.adapters.openai_chat import OpenAIChat
from services.providers.adapters.openai_embeddings import OpenAIEmbeddings
from services.providers.adapters.openai_responses import OpenAIResponses

CHAT: Mapping[WireFormat, Adapter] = {
    "openai_chat": OpenAIChat(),
    "openai_responses": OpenAIResponses(),
    "anthropic_messages": AnthropicMessages(),
    "gemini_generate": GeminiGenerate(),
    "cohere_chat": CohereChat(),
    "ollama_chat": OllamaChat(),
}
# A format that is missing here has no vectors.
EMBEDDINGS: Mapping[WireFormat, EmbeddingsAdapter] = {
    "openai_chat": OpenAIEmbeddings(),
    "openai_responses": OpenAIEmbeddings(),
    "gemini_generate": GeminiEmbeddings(),
}
