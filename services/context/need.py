"""How much does a question need turns that are no longer in the window? Pure.

Two things must come together. The message asks for something: most of it is a question or a request, and not a remark
with a question behind it, which goes on about the newest turns. And there is evidence that old turns answer it: they
hold its words, or mean something near. What fetching many turns costs is the provider's warm prefix; so the more of it
would be lost, the stronger the need must be.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

import numpy as np

from services.context.languages import OPENING, REQUESTING
from services.context.search import Found
from services.context.turns import Turn
from services.context.words import all_words, telling

_SENTENCE = re.compile(r"[^.!?\u3002\uff01\uff1f\n]+[.!?\u3002\uff01\uff1f]*")
_WIDE_QUESTION_MARK = "\uff1f"
_REQUEST_WORDS = """
tell list remind summarise summarize show give find explain describe recall name remember repeat compare
"""
_REQUESTS = frozenset(_REQUEST_WORDS.split()) | REQUESTING
_FIRST_WORDS = re.compile(r"\w+")
_OPENING_CHARACTERS = 64
# A greeting or a vocative before the question is no remark of its own.
_REMARK_WORDS = 3
_FEWEST_WORDS = 2
_MOSTLY = 0.6
# Cosines of MiniLM: unrelated sentences have up to 0.2, a question and its answer 0.4 to 0.7.
_UNRELATED, _RELATED = 0.2, 0.6
_BEST = 5
# Of the evidence, from 0 to 1: what a fetch into free room needs, and what one that costs the whole window needs.
_FOR_FREE, _FOR_ALL = 0.15, 0.45


class Fetch(Enum):
    """What the question is worth."""

    NOTHING = "nothing"
    FREE_ROOM = "free_room"
    WINDOW = "window"


def decide(text: str, found: Found, turns: Sequence[Turn], outside: Sequence[int], lost: float) -> Fetch:
    """What to fetch for the question `text`.

    `outside` are the places of turns that are not in the window; `lost` is the share of the room that holds the warm
    prefix a large fetch would cost, from 0 to 1.
    """
    asked = asked_part(text)
    if not asked or not outside:
        return Fetch.NOTHING
    evidence = _evidence(asked, found, turns, outside)
    if evidence < _FOR_FREE:
        return Fetch.NOTHING
    is_direct = len(asked) >= _MOSTLY * len(_without_greeting(text))
    if is_direct and evidence >= _FOR_FREE + (_FOR_ALL - _FOR_FREE) * lost:
        return Fetch.WINDOW
    return Fetch.FREE_ROOM


def asked_part(text: str) -> str:
    """The sentences that ask or request something; "" where none says what it is about."""
    sentences = [sentence.strip() for sentence in _SENTENCE.findall(text)]
    asking = [sentence for sentence in sentences if _asks(sentence)]
    together = " ".join(asking)
    return together if len(telling(together)) >= _FEWEST_WORDS else ""


def _asks(sentence: str) -> bool:
    if sentence.endswith(("?", _WIDE_QUESTION_MARK)):
        return True
    words = _FIRST_WORDS.findall(sentence[:_OPENING_CHARACTERS].lower())[:2]
    if not words:
        return False
    return words[0] in _REQUESTS or words[0] in OPENING or (words[0] == "please" and len(words) > 1)


def _without_greeting(text: str) -> str:
    sentences = [sentence.strip() for sentence in _SENTENCE.findall(text)]
    if len(sentences) > 1 and len(sentences[0].split()) <= _REMARK_WORDS and not _asks(sentences[0]):
        sentences = sentences[1:]
    return " ".join(sentences)


def _evidence(asked: str, found: Found, turns: Sequence[Turn], outside: Sequence[int]) -> float:
    """From 0 (nothing speaks for old turns) to 1: how well the best of them answers, by words or by meaning."""
    places = np.fromiter(outside, np.int64, len(outside))
    best = places[np.argsort(-found.words_pair[places], kind="stable")[:_BEST]]
    words = telling(asked)
    by_words = max((_covered(words, _pair(turns, int(place))) for place in best), default=0.0)
    if found.meaning is None:
        return by_words
    near = float(found.meaning[places].max(initial=0.0))
    return max(by_words, min(1.0, max(0.0, (near - _UNRELATED) / (_RELATED - _UNRELATED))))


def _covered(words: Sequence[str], text: str) -> float:
    """The share of the words that a text has, endings aside."""
    there = all_words(text)
    stems = {word[:_STEM] for word in there}
    return sum(1 for word in words if word in there or (len(word) > _STEM and word[:_STEM] in stems)) / len(words)


_STEM = 5


def _pair(turns: Sequence[Turn], place: int) -> str:
    before = turns[place - 1].text if place else ""
    return f"{before} {turns[place].line}"
