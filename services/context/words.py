"""Words of a text: those that search looks for, and those that say nothing. Pure."""

from __future__ import annotations

import re

from services.context.languages import silent_words

_WORD = re.compile(r"\w+")
# Scripts without spaces between words: each sign is a word of its own.
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0e7f]")
_MOST_WORDS = 64
_MOST_CHARACTERS = 4_000

# English words that say nothing of what a text is about.
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
_SILENT = frozenset(_FUNCTION_WORDS.split())


def spaced(text: str) -> str:
    """The text with every word apart."""
    return text if text.isascii() else _UNSPACED.sub(r" \g<0> ", text)


def telling(text: str) -> list[str]:
    """The words that say what a text is about, in lower case, each once, at most 64."""
    words = dict.fromkeys(_WORD.findall(spaced(text[:_MOST_CHARACTERS]).lower()))
    silent = silent_words(words)
    return [word for word in words if word not in _SILENT and word not in silent][:_MOST_WORDS]


def all_words(text: str) -> frozenset[str]:
    """All words in lower case."""
    return frozenset(_WORD.findall(text[:_MOST_CHARACTERS].lower()))
