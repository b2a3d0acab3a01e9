"""Do two answers say the same? A rule for checks of cached answers: sure where it speaks, and silent in between. Pure.

the same but for case, spaces and signs                       right
other numbers, or a yes against a no                          wrong
most words that carry meaning in common                       right
hardly any in common                                          wrong
anything else                                                 unknown
"""

from __future__ import annotations

import re

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb

_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_SHORT_WORD = 3
# Shares of all words of both. Two good answers of one model to one question have a third to a half in common.
_ALIKE, _UNLIKE = 0.5, 0.1
_SIDES = {"yes": True, "no": False}
_FEW_NUMBERS = 3


def agreement(kept: str, fresh: str) -> cache_pb.ReportHitRequest.Verdict.ValueType:
    """Whether the kept answer may stand where the fresh one was given."""
    one, other = _WORD.findall(kept.lower()), _WORD.findall(fresh.lower())
    if one == other:
        return cache_pb.ReportHitRequest.VERDICT_RIGHT
    if not one or not other:
        return cache_pb.ReportHitRequest.VERDICT_UNKNOWN
    sides = {_SIDES.get(words[0]) for words in (one, other)}
    numbers = [set(_NUMBER.findall(text)) for text in (kept, fresh)]
    few = all(0 < len(found) <= _FEW_NUMBERS for found in numbers)
    if sides == {True, False} or (few and not numbers[0] & numbers[1]):
        return cache_pb.ReportHitRequest.VERDICT_WRONG
    share = _share(set(one), set(other))
    if share >= _ALIKE:
        return cache_pb.ReportHitRequest.VERDICT_RIGHT
    return cache_pb.ReportHitRequest.VERDICT_WRONG if share <= _UNLIKE else cache_pb.ReportHitRequest.VERDICT_UNKNOWN


def _share(one: set[str], other: set[str]) -> float:
    long = [{word for word in words if len(word) > _SHORT_WORD} or words for words in (one, other)]
    return len(long[0] & long[1]) / len(long[0] | long[1])
