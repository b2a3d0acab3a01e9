"""Words to vectors without context: for seeing which words of two texts stand for each other. A table, no model run.

Row n of the table is what the embedder says of token n alone, less the mean, on its first principal components; see
model/NOTICE. How much a word says comes from its place in the vocabulary, which is ordered by frequency.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from services.embedding.files import FILES, TOKENIZER, WORDS, read

# Rows up to here are letters, signs and unused; the commonest word follows.
_FIRST_WORD = 1_996
_MOST_WORDS = 512
# Words whose rows are kept as they are compared.
_MOST_KNOWN = 8_192
Floats = npt.NDArray[np.float32]


class WordVectors:
    """Threads may share it. Raises EmbedderDamaged when its files are not what they should be."""

    def __init__(self, files: Path = FILES) -> None:
        self._tokenizer = Tokenizer.from_str(read(files, TOKENIZER).decode())
        size = self._tokenizer.get_vocab_size()
        self._table = np.frombuffer(read(files, WORDS), np.int8).reshape(size, -1)
        ranks = np.maximum(np.arange(size) - _FIRST_WORD, 1)
        self._weights: Floats = (np.log(ranks) / np.log(size - _FIRST_WORD)).astype(np.float32)
        self._known = lru_cache(maxsize=_MOST_KNOWN)(self._of_one)

    def of(self, words: Sequence[str]) -> tuple[Floats, Floats]:
        """Unit vectors [words, dimension], and weights [words] from 0 (the commonest) to 1; of the first 512 words."""
        if not words:
            return np.zeros((0, self._table.shape[1]), np.float32), np.ones(0, np.float32)
        known = [self._known(word) for word in words[:_MOST_WORDS]]
        return np.array([vector for vector, _ in known]), np.array([weight for _, weight in known], np.float32)

    def _of_one(self, word: str) -> tuple[Floats, float]:
        """One word's vector and weight. A word of several pieces says much; one without any has no direction."""
        tokens = self._tokenizer.encode([word], is_pretokenized=True, add_special_tokens=False).ids
        vector = self._table[tokens].astype(np.float32).sum(axis=0)
        vector /= max(float(np.linalg.norm(vector)), 1e-6)
        return vector, float(self._weights[tokens[0]]) if len(tokens) == 1 else 1.0
