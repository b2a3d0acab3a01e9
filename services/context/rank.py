"""One score per turn from what search found: how much does the question need it? Pure.

Words and meaning count alike, each divided by its best, and a turn with the one before it counts twice the turn alone,
as an answer is found by the words of its question. What a neighbour has counts a little for a turn. A turn of the
speaker that the question is about is likelier the one. The weights are round, chosen on conversations written for that
(`python -m bench.context.written`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.context.search import Found, Scores
from services.context.turns import Turn
from services.context.words import all_words

_FIRST_PERSON = frozenset({"i", "me", "my", "mine", "myself"})
_SECOND_PERSON = frozenset({"you", "your", "yours", "yourself"})
_USER, _ASSISTANT = "user", "assistant"


@dataclass(frozen=True, slots=True)
class Weights:
    """`pair`, `single`: a turn with the one before it, and alone. `neighbour`: the share of a neighbour's score that
    counts for a turn. `named`: by what a turn of the speaker who is meant is multiplied."""

    pair: float = 1.0
    single: float = 0.5
    neighbour: float = 0.3
    named: float = 1.6


SHIPPED = Weights()


def ranked(found: Found, turns: Sequence[Turn], query: str, weights: Weights = SHIPPED) -> Scores:
    """One score per turn, from 0; 0 for those that nothing speaks for."""
    total = weights.pair * _share(found.words_pair) + weights.single * _share(found.words)
    if found.meaning is not None and found.meaning_pair is not None:
        total = total + weights.pair * _share(found.meaning_pair) + weights.single * _share(found.meaning)
    near = np.zeros_like(total)
    near[1:] = total[:-1]
    near[:-1] = np.maximum(near[:-1], total[1:])
    total = total + weights.neighbour * near
    speakers = speakers_meant(query, {turn.speaker for turn in turns})
    if speakers:
        meant = [weights.named if turn.speaker in speakers else 1.0 for turn in turns]
        total = total * np.array(meant, np.float32)
    scores: Scores = total.astype(np.float32)
    return scores


def speakers_meant(query: str, speakers: set[str]) -> set[str]:
    """The speakers that a question is about: those it names; where it names nobody, by "my" and "your"."""
    words = all_words(query)
    named = {name for name in speakers if name.lower() in words and name not in (_USER, _ASSISTANT)}
    if named:
        return named if len(named) < len(speakers) else set()
    first, second = bool(words & _FIRST_PERSON), bool(words & _SECOND_PERSON)
    if first == second:
        return set()
    return speakers & {_USER if first else _ASSISTANT}


def _share(scores: Scores) -> Scores:
    best = float(scores.max(initial=0.0))
    return scores / best if best > 0 else scores
