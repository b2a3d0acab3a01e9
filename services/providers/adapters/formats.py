"""The wire formats by their names, as configuration spells them."""

from __future__ import annotations

from collections.abc import Mapping

from services.providers.adapters import Adapter, EmbeddingsAdapter, WireFormat
from services.providers.adapters.openai_chat import OpenAIChat
from services.providers.adapters.openai_embeddings import OpenAIEmbeddings

CHAT: Mapping[WireFormat, Adapter] = {"openai_chat": OpenAIChat()}
# A format that is missing here has no vectors.
EMBEDDINGS: Mapping[WireFormat, EmbeddingsAdapter] = {"openai_chat": OpenAIEmbeddings()}
