"""The baseline of the same run: BM25 over pairs of turns and sentence vectors, with fixed weights.

Its own code, so that it stays what it is: k1 1.2, b 0.75, function words out, light stemming; per turn the pair (the
turn before and it) plus half the turn alone, for words and for meaning, each divided by its best. Turns are taken in
order of score, what does not fit is skipped, eight misses in a row end it. A turn costs its tokens and 4, a session of
which anything is kept its time once, the question its tokens and 7.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.context.data import Conversation, Turn
from services.embedding.embedder import Embedder

Scores = npt.NDArray[np.float64]
_K1, _B = 1.2, 0.75
_MISSES = 8
_FUNCTION_WORDS = """
a about after again all am an and any are as at be because been before being between both but by can could did
do does doing done down during each else ever few for from further get gets getting go going got had has have
having he hello her here hers herself hey hi him himself his how i if in into is it its itself just ll like m
may me might mine more most much must my myself no nor now of off oh ok okay on once only or other our ours out
over own please re really s same she should so some still such t than thanks that the their theirs them
themselves then there these they this those through to too under until up us ve very was we well were what when
where which while who whom whose why will with would yeah yes yet you your yours yourself d don didn doesn isn
wasn aren weren hasn haven couldn wouldn shouldn won
"""
_STOP = frozenset(_FUNCTION_WORDS.split())


class Baseline:
    """One conversation, searched."""

    def __init__(self, conversation: Conversation, embedder: Embedder, count: Callable[[str], int]) -> None:
        self._conversation = conversation
        self._embed = embedder
        self._count = count
        lines = [_line(turn) for turn in conversation.turns]
        pairs = [lines[0], *(f"{a}\n{b}" for a, b in pairwise(lines))]
        self._bm25 = Bm25(lines), Bm25(pairs)
        self._vectors = self._embedded(lines), self._embedded(pairs)
        self._costs = [count(line) + 4 for line in lines]
        self._times = {turn.session: count(f"[{turn.time}]") + 1 for turn in conversation.turns}

    def select(self, question: str, budget: int) -> tuple[list[dict[str, Any]], int]:
        """(rows of messages, tokens) for a question."""
        left = budget - self._count(question) - 7
        kept: set[int] = set()
        sessions: set[int] = set()
        misses = 0
        for place in np.argsort(-self._scores(question), kind="stable").tolist():
            turn = self._conversation.turns[place]
            cost = self._costs[place] + (0 if turn.session in sessions else self._times[turn.session])
            if cost > left:
                misses += 1
                if misses >= _MISSES:
                    break
                continue
            misses = 0
            left -= cost
            kept.add(place)
            sessions.add(turn.session)
        return [*self._rows(sorted(kept)), {"role": "user", "text": question, "source_ids": []}], budget - left

    def _rows(self, places: Sequence[int]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        session = -1
        for place in places:
            turn = self._conversation.turns[place]
            time = f"[{turn.time}]\n" if turn.session != session else ""
            session = turn.session
            rows.append({"role": "user", "text": time + _line(turn), "source_ids": [turn.id]})
        return rows

    def _scores(self, question: str) -> Scores:
        vector = self._embed.embed(question)
        if vector is None:
            raise ValueError("the question is too long for the embedder")
        turn, pair = (np.maximum(vectors @ vector, 0) for vectors in self._vectors)
        words_turn, words_pair = (index.scores(question) for index in self._bm25)
        total: Scores = _share(words_pair) + _share(words_turn) / 2 + _share(pair) + _share(turn) / 2
        return total

    def _embedded(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        vectors = [self._embed.embed(text) for text in texts]
        dimension = self._embed.dimension
        return np.stack([vector if vector is not None else np.zeros(dimension, np.float32) for vector in vectors])


class Bm25:
    """Okapi BM25 over a list of texts."""

    def __init__(self, texts: Sequence[str]) -> None:
        bags = [Counter(_words(text)) for text in texts]
        lengths = np.array([sum(bag.values()) for bag in bags], np.float64)
        self._norm = _K1 * (1 - _B + _B * lengths / max(lengths.mean(), 1e-9))
        self._postings: dict[str, tuple[list[int], list[int]]] = {}
        for place, bag in enumerate(bags):
            for word, times in bag.items():
                places, counts = self._postings.setdefault(word, ([], []))
                places.append(place)
                counts.append(times)
        self._size = len(texts)

    def scores(self, query: str) -> Scores:
        """One per text; 0: no word in common."""
        total = np.zeros(self._size)
        for word in set(_words(query)):
            places, counts = self._postings.get(word, ([], []))
            if not places:
                continue
            weight = np.log(1 + (self._size - len(places) + 0.5) / (len(places) + 0.5))
            times = np.array(counts, np.float64)
            total[places] += weight * times * (_K1 + 1) / (times + self._norm[places])
        return total


def _line(turn: Turn) -> str:
    return f"{turn.speaker}: {turn.text}"


def _words(text: str) -> list[str]:
    return [_stem(word) for word in re.findall(r"[a-z0-9']+", text.lower()) if word not in _STOP]


def _stem(word: str) -> str:
    """The word without the endings of plurals and verbs."""
    word = word.removesuffix("'s")
    for ending in ("ing", "ed"):
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= 3:
            doubled = stem[-1] == stem[-2] and stem[-1] not in "lsz"
            return (stem[:-1] if doubled else stem).rstrip("e")
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("es") and len(word) > 4:
        return word[:-2]
    if word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        word = word[:-1]
    return word.rstrip("e") if len(word) > 3 else word


def _share(scores: Scores) -> Scores:
    best = float(scores.max(initial=0.0))
    return scores / best if best > 0 else scores
