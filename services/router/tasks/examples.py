"""Which task a prompt is, by labelled examples: kernel ridge regression on its meaning and its words. Pure.

    k(a, b) = exp(2 (cosine of vectors - 1)) + 0.4 x cosine of words
    scores  = k(prompt, examples) (K + 0.03)^-1 Y

"Write a function that classifies mail" and "Classify this mail" mean the same to an embedder, so words and pairs of
words count, the first ones twice. The best task is taken where it is ahead of the next one by a margin, and is not
OTHER; else the prompt is unknown. Kernel, weights and ridge are those with the least squared error when each example is
left out. Kernel ridge: Saunders, Gammerman and Vovk (1998).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import pairwise
from zlib import crc32

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
# The label of examples that are of no task.
OTHER = "other"
_SHARPNESS, _WORDS_WEIGHT, _RIDGE = 2.0, 0.4, 0.03
_BUCKETS = 4_096
_TERM = re.compile(r"[a-z]+|[0-9]+|[^\sa-z0-9]")
_MOST_TERMS, _FIRST = 200, 3


class TaskExamples:
    """Examples [n], their `vectors` [n, dimension] of length 1 and labels. Quick: 0.1 ms for a prompt."""

    def __init__(self, texts: Sequence[str], vectors: Floats, labels: Sequence[str], *, margin: float) -> None:
        self._tasks = sorted(set(labels))
        self._vectors = np.ascontiguousarray(vectors, np.float32)
        words = np.stack([_words(text) for text in texts])
        # One row per bucket: a prompt has few.
        self._by_bucket = np.ascontiguousarray(words.T)
        self._margin = margin
        wanted = np.array([[label == task for task in self._tasks] for label in labels], np.float64)
        self._mean = wanted.mean(axis=0)
        kernel = self._combined(self._vectors @ self._vectors.T, words @ words.T)
        self._weights = np.linalg.solve(kernel + _RIDGE * np.eye(len(labels)), wanted - self._mean)

    def scores(self, text: str, vector: Floats) -> dict[str, float]:
        """By task; about 1 where it is one, about 0 where it is not."""
        words = _words(text)
        buckets = np.flatnonzero(words)
        kernel = self._combined(self._vectors @ vector, words[buckets] @ self._by_bucket[buckets])
        return dict(zip(self._tasks, (kernel @ self._weights + self._mean).tolist(), strict=True))

    def task(self, text: str, vector: Floats, known: Collection[str]) -> str | None:
        """The task of a prompt, of the known ones; None: unknown."""
        scores = self.scores(text, vector)
        ranked = sorted((score, task) for task, score in scores.items() if task == OTHER or task in known)
        if len(ranked) < 2 or ranked[-1][1] == OTHER or ranked[-1][0] - ranked[-2][0] < self._margin:
            return None
        return ranked[-1][1]

    def _combined(self, cosines: Floats, words: Floats) -> npt.NDArray[np.float64]:
        combined: npt.NDArray[np.float64] = (
            np.exp(_SHARPNESS * (cosines.astype(np.float64) - 1)) + _WORDS_WEIGHT * words
        )
        return combined


def _words(text: str) -> Floats:
    """Hashed terms, pairs of terms, and where the text begins and ends; [buckets] of length 1."""
    terms = _TERM.findall(text.lower())[:_MOST_TERMS]
    found = np.zeros(_BUCKETS, np.float32)
    marked = [f"^{term}" for term in terms[:_FIRST]] + [f"^{' '.join(terms[:2])}", f"${''.join(terms[-1:])}"]
    for term in (*terms, *map(" ".join, pairwise(terms)), *marked):
        found[crc32(term.encode()) % _BUCKETS] += 1
    found = np.sqrt(found)
    return found / np.linalg.norm(found)
