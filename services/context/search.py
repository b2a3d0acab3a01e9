"""An index of texts in order (turns of a conversation, remembered items): found by words and by meaning.

Words: BM25 of SQLite FTS5 over each text, and over each text with the one before it, since an answer is often found by
the words of its question. Meaning: cosines of sentence vectors, for the same two. An index knows one conversation of
one tenant and nothing else, so its word statistics tell nothing of others.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.context.turns import Turn
from services.context.words import spaced, telling
from services.embedding.embedder import Vector

Scores = npt.NDArray[np.float32]

_CREATE = "CREATE VIRTUAL TABLE {} USING fts5(said, about, content='', tokenize='porter unicode61 remove_diacritics 2')"
# What is known about a turn (its speaker, its day) counts half of what was said in it.
_FIND = "SELECT rowid, bm25({0}, 1.0, 0.5) FROM {0} WHERE {0} MATCH ?"


@dataclass(frozen=True, slots=True)
class Found:
    """How well each text answers a query, in order; 0: not at all. `meaning` None: not all vectors are there yet."""

    words: Scores
    words_pair: Scores
    meaning: Scores | None = None
    meaning_pair: Scores | None = None

    def answers(self, least: float) -> npt.NDArray[np.bool_]:
        """Which texts have a word of the query, or a meaning at least so near."""
        by_words = self.words > 0
        return by_words if self.meaning is None else by_words | (self.meaning >= least)


class TurnIndex:
    """The texts so far. One thread at a time."""

    def __init__(self) -> None:
        self._tables = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._tables.execute(_CREATE.format("single"))
        self._tables.execute(_CREATE.format("pair"))
        self._turns: list[Turn] = []
        self._vectors: list[Vector | None] = []
        self._matrix: npt.NDArray[np.float32] | None = None
        self._lengths = np.zeros(0, np.float32)

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def turns(self) -> Sequence[Turn]:
        """The texts, in order."""
        return self._turns

    def add(self, turns: Sequence[Turn]) -> None:
        """More texts behind those that are there."""
        before = self._turns[-1] if self._turns else None
        single, pair = [], []
        for row, turn in enumerate(turns, start=len(self._turns) + 1):
            said, about = spaced(turn.text), spaced(f"{turn.speaker} {turn.day}")
            single.append((row, said, about))
            pair.append((row, said if before is None else f"{spaced(before.text)}\n{said}", about))
            before = turn
        self._tables.execute("BEGIN")
        self._tables.executemany("INSERT INTO single(rowid, said, about) VALUES (?, ?, ?)", single)
        self._tables.executemany("INSERT INTO pair(rowid, said, about) VALUES (?, ?, ?)", pair)
        self._tables.execute("COMMIT")
        self._turns.extend(turns)
        self._vectors.extend([None] * len(turns))
        self._matrix = None

    def without_vector(self) -> list[int]:
        """The places of texts whose vectors are still to come."""
        return [] if self._matrix is not None else [at for at, known in enumerate(self._vectors) if known is None]

    def put_vector(self, place: int, vector: Vector) -> None:
        """The vector of the text at that place."""
        self._vectors[place] = vector
        self._matrix = None

    def find(self, query: str, vector: Vector | None) -> Found:
        """How well each text answers the query. `vector` None: by words alone."""
        match = " OR ".join(f'"{word}"' for word in telling(query))
        words, words_pair = self._by_words("single", match), self._by_words("pair", match)
        matrix = self._all_vectors() if vector is not None else None
        if matrix is None or vector is None:
            return Found(words, words_pair)
        meaning = matrix @ vector
        paired = meaning.copy()
        # The cosine with the sum of two vectors of unit length.
        paired[1:] = (meaning[1:] + meaning[:-1]) / self._lengths
        return Found(words, words_pair, np.maximum(meaning, 0), np.maximum(paired, 0))

    def close(self) -> None:
        """Free the tables."""
        self._tables.close()

    def _by_words(self, table: str, match: str) -> Scores:
        scores = np.zeros(len(self._turns), np.float32)
        if match and len(scores):
            rows = self._tables.execute(_FIND.format(table), (match,)).fetchall()
            for row, score in rows:
                scores[row - 1] = -score
        return np.maximum(scores, 0)

    def _all_vectors(self) -> npt.NDArray[np.float32] | None:
        if self._matrix is None:
            known = [vector for vector in self._vectors if vector is not None]
            if not known or len(known) < len(self._vectors):
                return None
            self._matrix = np.stack(known)
            self._lengths = np.linalg.norm(self._matrix[1:] + self._matrix[:-1], axis=1).clip(min=1e-6)
        return self._matrix
