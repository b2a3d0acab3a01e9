"""One score per turn from what search found: how much does the question need it? Pure.

The weights are set by hand and round. Words and meaning count alike, and a turn with the one before it counts twice
the turn alone, as an answer is found by the words of its question (handbook of the field: BM25 and sentence vectors,
each divided by its best). What a neighbour has counts a little for a turn. A turn of the speaker that the question
names, or of its day, is likelier the one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.context.search import Found, Scores, TurnIndex
from services.context.turns import Turn
from services.context.words import all_words

_PAIR, _SINGLE = 1.0, 0.5
_NEIGHBOUR = 0.3
_NAMED = 1.4
_BEST = 3
_FIRST_PERSON = frozenset({"i", "me", "my", "mine", "myself"})
_SECOND_PERSON = frozenset({"you", "your", "yours", "yourself"})
_USER, _ASSISTANT = "user", "assistant"


def ranked(index: TurnIndex, found: Found, query: str) -> Scores:
    """One score per turn, from 0; 0 for those that nothing speaks for."""
    first = _fused(found, index.turns, query)
    best = np.argsort(-first, kind="stable")[:_BEST]
    again = index.refined(found, [int(place) for place in best if first[place] > 0])
    return first if again is found else _fused(again, index.turns, query)


def _fused(found: Found, turns: Sequence[Turn], query: str) -> Scores:
    total = _PAIR * _share(found.words_pair) + _SINGLE * _share(found.words)
    if found.meaning is not None and found.meaning_pair is not None:
        total = total + _PAIR * _share(found.meaning_pair) + _SINGLE * _share(found.meaning)
    near = np.zeros_like(total)
    near[1:] = total[:-1]
    near[:-1] = np.maximum(near[:-1], total[1:])
    total = total + _NEIGHBOUR * near
    speakers = speakers_meant(query, {turn.speaker for turn in turns})
    if speakers:
        total = total * np.array([_NAMED if turn.speaker in speakers else 1.0 for turn in turns], np.float32)
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
