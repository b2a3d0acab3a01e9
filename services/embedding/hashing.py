"""An embedder without a model, for tests: texts are near where they share words and pieces of words."""

from __future__ import annotations

import hashlib

import numpy as np

from services.embedding.embedder import Vector

_PIECE = 3
_MOST_WORDS = 254


class HashingEmbedder:
    """Each word and each three letters of it add to one number that their hash picks, with the sign it picks."""

    def __init__(self, dimension: int = 384) -> None:
        self._dimension = dimension

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def model_hash(self) -> str:
        return hashlib.sha256(f"hashing {self._dimension}".encode()).hexdigest()

    def embed(self, text: str) -> Vector | None:
        words = text.lower().split()
        if len(words) > _MOST_WORDS:
            return None
        vector = np.zeros(self._dimension, np.float32)
        vector[0] = 1e-3  # a text without words has a direction, too
        for word in words:
            for piece in (word, *(word[at : at + _PIECE] for at in range(len(word) - _PIECE + 1))):
                number = int.from_bytes(hashlib.blake2b(piece.encode(), digest_size=8).digest())
                vector[number // 2 % self._dimension] += 1.0 if number % 2 else -1.0
        unit: Vector = vector / np.linalg.norm(vector)
        return unit
