"""What there is to learn from a stream: for each look-up its nearest cached texts, how they differ, which is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from bench.cache.pairs import LookUp, Pair, Stream, digest
from services.cache.features import Prepared, features, prepare
from services.cache.semantic import FLOOR, NEIGHBOURS
from services.cache.veto import veto
from services.embedding.embedder import Vector
from services.embedding.onnx_minilm import OnnxMiniLM
from services.embedding.words import WordVectors
from tools.verifier.rules import Said

_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Lessons:
    """One row per candidate: `rows` [n, features], `same` [n], `of` [n] the number of its look-up."""

    look_ups: list[LookUp]
    rows: npt.NDArray[np.float32]
    same: npt.NDArray[np.bool_]
    vetoed: npt.NDArray[np.bool_]
    of: npt.NDArray[np.int64]

    def sources(self) -> npt.NDArray[np.str_]:
        """The source of each row's look-up."""
        return np.array([look_up.source for look_up in self.look_ups])[self.of]

    def folds(self, key: Callable[[LookUp], str], count: int) -> npt.NDArray[np.int64]:
        """For each row the fold of its look-up; what has one key is in one fold."""
        numbers = [int(digest(f"fold {key(look_up)}")[:8], 16) % count for look_up in self.look_ups]
        return np.array(numbers, np.int64)[self.of]

    def best(self, scores: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """(score of each look-up's best candidate that no rule refuses, whether it is right); -inf without one."""
        best = np.full(len(self.look_ups), -np.inf)
        right = np.zeros(len(self.look_ups), bool)
        for row in np.flatnonzero(~self.vetoed):
            if scores[row] > best[self.of[row]]:
                best[self.of[row]], right[self.of[row]] = scores[row], self.same[row]
        return best, right


class Teacher:
    """Makes lessons; remembers texts between streams."""

    def __init__(self) -> None:
        embedder, words = OnnxMiniLM(), WordVectors()
        self.model_hash = embedder.model_hash
        self._vector: Callable[[str], Vector | None] = lru_cache(maxsize=None)(embedder.embed)
        self._prepared: Callable[[str], Prepared] = lru_cache(maxsize=None)(lambda text: prepare(text, words))

    def lessons(
        self, cached: Sequence[str], look_ups: Sequence[LookUp], is_true: Callable[[str, str, str], bool]
    ) -> Lessons:
        """Every look-up beside its nearest cached texts."""
        known = [text for text in cached if self._vector(text) is not None]
        asked = [look_up for look_up in look_ups if self._vector(look_up.query) is not None]
        rows, same, vetoed, of = [], [], [], []
        for number, place, cosine in self._neighbours(known, asked):
            look_up, text = asked[number], known[place]
            one, other = self._prepared(look_up.query), self._prepared(text)
            rows.append(features(one, other, cosine))
            same.append(is_true(look_up.source, look_up.query, text))
            vetoed.append(veto(one.wording, other.wording) is not None)
            of.append(number)
        return Lessons(asked, np.array(rows), np.array(same), np.array(vetoed), np.array(of))

    def _neighbours(self, cached: list[str], look_ups: list[LookUp]) -> Iterator[tuple[int, int, float]]:
        vectors = np.array([self._vector(text) for text in cached])
        for start in range(0, len(look_ups), _AT_ONCE):
            asked = np.array([self._vector(look_up.query) for look_up in look_ups[start : start + _AT_ONCE]])
            cosines = asked @ vectors.T
            nearest = np.argpartition(-cosines, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
            for row, places in enumerate(nearest):
                for place in sorted(places, key=lambda place: -cosines[row, place]):
                    if cosines[row, place] >= FLOOR:
                        yield start + row, int(place), float(cosines[row, place])


def of_stream(teacher: Teacher, pairs: Sequence[Pair], *, whole: bool) -> Lessons:
    """The lessons of labelled pairs."""
    stream = Stream(pairs, whole=whole)
    return teacher.lessons(stream.cached, stream.look_ups, stream.is_true)


def of_rules(teacher: Teacher, said: Sequence[Said], pairs: Sequence[Pair]) -> Lessons:
    """The lessons of texts made by rules, and of pairs that ship, in one stream."""
    meanings: dict[str, str] = {}
    for one in said:
        meanings.setdefault(one.text, one.meaning)
    by_meaning: dict[str, list[str]] = {}
    for text, meaning in meanings.items():
        by_meaning.setdefault(meaning, []).append(text)
    cached, look_ups = [pair.a for pair in pairs], [LookUp(p.source, p.kind, p.b, f"{p.source} {p.a}") for p in pairs]
    for meaning, texts in by_meaning.items():
        texts.sort(key=digest)
        # Of a meaning that was said once, one text in three is looked up, and the others are cached.
        kept = len(texts) // 2 or min(1, int(digest(meaning)[:8], 16) % 3)
        cached += texts[:kept]
        look_ups += [LookUp("rules", "rules", text, meaning.split(" > ")[0]) for text in texts[kept:]]
    same = {(pair.a, pair.b) for pair in pairs if pair.same}

    def is_true(_: str, query: str, matched: str) -> bool:
        if query.lower() == matched.lower() or (query, matched) in same or (matched, query) in same:
            return True
        return query in meanings and meanings[query] == meanings.get(matched)

    return teacher.lessons(list(dict.fromkeys(cached)), look_ups, is_true)
