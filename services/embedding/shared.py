"""The one model of this process: whoever embeds in it shares its memory and its load."""

from __future__ import annotations

from functools import lru_cache

from services.embedding.onnx_minilm import OnnxMiniLM
from services.embedding.words import WordVectors


@lru_cache(maxsize=1)
def minilm() -> OnnxMiniLM:
    """The sentence embedder. Raises EmbedderDamaged; blocks for 0.3 s the first time."""
    return OnnxMiniLM()


@lru_cache(maxsize=1)
def word_vectors() -> WordVectors:
    """The word table. Raises EmbedderDamaged."""
    return WordVectors()
