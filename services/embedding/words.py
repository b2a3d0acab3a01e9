"""Words to vectors without context: for seeing which words of two texts stand for each other. A table, no model run.

Row n of the table is what the embedder says of token n alone, less the mean, on its first principal components; see
model/NOTICE. How much a word says comes from its place in the vocabulary, which is ordered by frequency.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from services.embedding.files import FILES, TOKENIZER, WORDS, read

# Rows up to here are letters, signs and unused; the commonest word follows.
_FIRST_WORD = 1_996
_MOST_WORDS = 512
Floats = npt.NDArray[np.float32]


class WordVectors:
    """Threads may share it. Raises EmbedderDamaged when its files are not what they should be."""

    def __init__(self, files: Path = FILES) -> None:
        self._tokenizer = Tokenizer.from_str(read(files, TOKENIZER).decode())
        size = self._tokenizer.get_vocab_size()
        self._table = np.frombuffer(read(files, WORDS), np.int8).reshape(size, -1)
        ranks = np.maximum(np.arange(size) - _FIRST_WORD, 1)
        self._weights: Floats = (np.log(ranks) / np.log(size - _FIRST_WORD)).astype(np.float32)

    def of(self, words: Sequence[str]) -> tuple[Floats, Floats]:
        """Unit vectors [words, dimension], and weights [words] from 0 (the commonest) to 1; of the first 512 words."""
        encoded = self._tokenizer.encode(list(words[:_MOST_WORDS]), is_pretokenized=True, add_special_tokens=False)
        owners = np.array(encoded.word_ids, np.int64)
        tokens = np.array(encoded.ids, np.int64)
        count = min(len(words), _MOST_WORDS)
        vectors = np.zeros((count, self._table.shape[1]), np.float32)
        np.add.at(vectors, owners, self._table[tokens].astype(np.float32))
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
        weights = np.ones(count, np.float32)
        pieces = np.bincount(owners, minlength=count)
        weights[owners] = self._weights[tokens]
        weights[pieces > 1] = 1.0
        return vectors, weights
