"""How two texts differ, in numbers: what the verifier looks at. Order and meaning are part of the verifier's format."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from services.cache.antonyms import ANTONYMS
from services.cache.wording import Wording, wording
from services.embedding.words import Floats, WordVectors

NAMES = (
    "cosine of the texts",
    "words in common",
    "content words in common",
    "word pairs in common",
    "unmatched words, fewer side",
    "unmatched words, more side",
    "unmatched weight, most",
    "unmatched weight, sum",
    "unmatched weight, lesser side",
    "unmatched weight, most of lesser side",
    "unmatched share of weight",
    "matched weight",
    "length ratio",
    "words of the shorter",
    "same first word",
    "question words",
    "quantity asked differs",
    "form differs",
    "numbers equal",
    "numbers any",
    "identifiers differ",
    "names in common",
    "names any",
    "names missing",
    "names missing on both sides",
    "denials differ",
    "opposites",
    "tenses differ",
    "persons differ",
    "connectives differ",
    "connectives in common",
    "order inversions",
    "order inversions of content words",
    "roles reversed",
    "cosine of mean word vectors",
    "alignment, worst",
    "alignment, mean",
    "alignment, weighted mean",
    "alignment, weighted worst",
    "alignment, loss",
    "substitution, best",
    "substitution, worst",
)
Row = npt.NDArray[np.float32]
Places = list[int]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A text ready to be compared. `vectors` is [words, dimension], `weights` is [words], `total` is their sum."""

    wording: Wording
    vectors: Floats
    weights: Floats
    listed: list[float]
    total: float
    mean: Floats


def prepare(text: str, vectors: WordVectors) -> Prepared:
    """Take a text apart; of a text without words something that is like no other."""
    said = wording(text)
    rows, weights = vectors.of(said.words)
    mean = weights @ rows
    length = math.sqrt(float(mean @ mean))
    total = float(weights.sum())
    return Prepared(said, rows, weights, weights.tolist(), total, mean / length if length else mean)


def features(one: Prepared, other: Prepared, cosine: float) -> Row:
    """The numbers in the order of NAMES, float32 [42]."""
    a, b = one.wording, other.wording
    free_a = [place for place, stem in enumerate(a.stems[: len(one.listed)]) if stem not in b.stem_set]
    free_b = [place for place, stem in enumerate(b.stems[: len(other.listed)]) if stem not in a.stem_set]
    numbers = [
        cosine,
        _jaccard(a.bag, b.bag),
        _jaccard(a.content, b.content),
        _jaccard(a.bigrams, b.bigrams),
        *_unmatched(one, other, free_a, free_b),
        *_shape(a, b),
        *_facts(a, b),
        *_logic(a, b),
        *_order(a, b),
        *_alignment(one, other, free_a, free_b),
    ]
    return np.array(numbers, np.float32)


def _jaccard(a: frozenset[object], b: frozenset[object]) -> float:
    either = len(a | b)
    return len(a & b) / either if either else 1.0


def _unmatched(one: Prepared, other: Prepared, free_a: Places, free_b: Places) -> list[float]:
    a, b = [one.listed[place] for place in free_a], [other.listed[place] for place in free_b]
    sum_a, sum_b = sum(a), sum(b)
    most_a, most_b = max(a, default=0.0), max(b, default=0.0)
    matched, unmatched = one.total - sum_a, sum_a + sum_b
    return [
        min(len(a), len(b)),
        max(len(a), len(b)),
        max(most_a, most_b),
        unmatched,
        min(sum_a, sum_b),
        min(most_a, most_b),
        unmatched / (unmatched + 2 * matched + 1e-6),
        matched,
    ]


def _shape(a: Wording, b: Wording) -> list[float]:
    shorter, longer = sorted((len(a.words), len(b.words)))
    # 0: the same or none, 1: one side alone, 2: another one.
    question = 0.0 if a.question == b.question else 1.0 + bool(a.question and b.question)
    same_first = a.words[:1] == b.words[:1]
    return [shorter / max(1, longer), shorter, same_first, question, a.quantity != b.quantity, a.form != b.form]


def _facts(a: Wording, b: Wording) -> list[float]:
    missing = [sum(name not in b.bag for name in a.names), sum(name not in a.bag for name in b.names)]
    return [
        a.numbers == b.numbers or sorted(a.numbers) == sorted(b.numbers),
        bool(a.numbers or b.numbers),
        a.identifiers != b.identifiers,
        _jaccard(a.names, b.names),
        bool(a.names or b.names),
        sum(missing),
        min(missing),
    ]


def _logic(a: Wording, b: Wording) -> list[float]:
    return [
        abs(a.denials - b.denials),
        opposites(a, b),
        len(a.tenses ^ b.tenses),
        len(a.persons ^ b.persons),
        len(a.connectives ^ b.connectives),
        len(a.connectives & b.connectives),
    ]


def opposites(a: Wording, b: Wording) -> int:
    """How many words of one text are answered by their opposite in the other, each word counted once."""
    left = [stem for stem in a.stems if stem not in b.stem_set]
    right = [stem for stem in b.stems if stem not in a.stem_set]
    found = 0
    for stem in left:
        against = next((other for other in right if (stem, other) in ANTONYMS), None)
        if against is not None:
            right.remove(against)
            found += 1
    return found


def _order(a: Wording, b: Wording) -> list[float]:
    inversions, pairs = order_inversions(a, b, content=False)
    turned, _ = order_inversions(a, b, content=True)
    # Passive voice turns the order and keeps the roles.
    return [inversions / max(1, pairs), turned, bool(turned) != (a.passive != b.passive)]


def order_inversions(a: Wording, b: Wording, *, content: bool) -> tuple[int, int]:
    """Neighbours among the words that both have once: how many stand the other way round, and how many there are."""
    places = [b.places[stem] for stem in a.places if stem in b.places and (not content or stem in a.content)]
    return sum(x > y for x, y in pairwise(places)), max(0, len(places) - 1)


def _alignment(one: Prepared, other: Prepared, free_a: Places, free_b: Places) -> list[float]:
    if not one.listed or not other.listed:
        return [0.0] * 8
    # Reductions of ufuncs, not methods of arrays: over a dozen numbers a method's own cost is the larger part.
    cosines = one.vectors @ other.vectors.T
    best_a, best_b = np.maximum.reduce(cosines, axis=1), np.maximum.reduce(cosines, axis=0)
    loss_a, loss_b = (1 - best_a) * one.weights, (1 - best_b) * other.weights
    lost_a, lost_b = float(np.add.reduce(loss_a)), float(np.add.reduce(loss_b))
    substitution = [-1.0, -1.0]
    if free_a and free_b:
        crossed = cosines.take(free_a, axis=0).take(free_b, axis=1).tolist()
        best = [max(row) for row in crossed]
        substitution = [max(best), min(*best, *map(max, zip(*crossed, strict=True)))]
    return [
        float(one.mean @ other.mean),
        min(best_a.tolist() + best_b.tolist()),
        (float(np.add.reduce(best_a) / len(best_a)) + float(np.add.reduce(best_b) / len(best_b))) / 2,
        1 - (lost_a / (one.total + 1e-6) + lost_b / (other.total + 1e-6)) / 2,
        -max(loss_a.tolist() + loss_b.tolist()),
        lost_a + lost_b,
        *substitution,
    ]
