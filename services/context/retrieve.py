"""Fetches turns that are out of the window into a block before the question, as far as it needs them.

    need       the window                          the block
    nothing    as it is                            none
    free room  as it is                            as large as the free room
    window     the newest exchange                 all that is left

A large fetch is for one request: the next one goes back to the window as it was, whose prefix is still warm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from omnisphere.chat.v1 import chat_pb2 as chat
from services.context.block import day_line, turns_block
from services.context.families import NOTHING, Tokens
from services.context.need import Fetch, decide
from services.context.rank import ranked
from services.context.search import Found, Scores, TurnIndex
from services.context.turns import Turn
from services.context.units import Kind, Unit
from services.context.window import Window, narrowed, newest

# In tokens of the model that is asked; of a text its upper bound.
MeasureText = Callable[[str], int]
MeasureMessage = Callable[[chat.Message], Tokens]
# The newest exchanges that stay beside a large fetch, as a share of the room.
_NEWEST_SHARE = 0.08
# A block smaller than this is not worth its marks.
_SMALLEST_BLOCK = 48
_MOST_MISSES = 8


@dataclass(frozen=True, slots=True)
class Ruler:
    """Measures what a block would take."""

    text: MeasureText
    message: MeasureMessage


@dataclass(frozen=True, slots=True)
class Fetched:
    """The window beside the block, and the block. `places`: units whose words stand in it; None: there is none."""

    window: Window
    block: chat.Message | None = None
    size: Tokens = NOTHING
    places: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Parts:
    """A conversation as fetching sees it. `sizes` and `room` in tokens; `question` is the text that asks."""

    units: Sequence[Unit]
    sizes: Sequence[int]
    room: int
    question: str
    warm: int  # tokens of the window that are warm, without instructions


def fetch(parts: Parts, window: Window, index: TurnIndex, found: Found, ruler: Ruler) -> Fetched:
    """What the question needs. `index` holds the units before the anchor."""
    plain = Fetched(window)
    outside = _outside(parts.units, window)
    need = decide(parts.question, found, index.turns, outside, parts.warm / max(parts.room, 1))
    if need is Fetch.NOTHING:
        return plain
    beside = window
    if need is Fetch.WINDOW:
        start = newest(window, parts.units, parts.sizes, int(parts.room * _NEWEST_SHARE))
        beside = narrowed(window, parts.units, parts.sizes, start)
        outside = _outside(parts.units, beside)
    scores = ranked(found, index.turns, parts.question)
    limit = _limit(parts, beside)
    chosen = _packed(scores, index.turns, outside, limit, ruler)
    return _trimmed(beside, chosen, scores, limit, ruler) or plain


def _outside(units: Sequence[Unit], window: Window) -> list[int]:
    return [
        place
        for place in range(window.anchor)
        if not window.kept[place] and units[place].kind not in (Kind.INSTRUCTIONS, Kind.ORPHANS)
    ]


def _limit(parts: Parts, window: Window) -> int:
    """How large the block may be. What follows the question (a tool loop) grows from request to request; so that the
    block does not change each time, its limit is that of the question's own request, or a half, a quarter ... of it."""
    after = sum(parts.sizes[window.anchor + 1 :])
    limit, free = parts.room - window.used + after, parts.room - window.used
    while limit > free and limit >= _SMALLEST_BLOCK:
        limit //= 2
    return min(limit, free)


def _packed(scores: Scores, turns: Sequence[Turn], outside: Sequence[int], limit: int, ruler: Ruler) -> dict[int, Turn]:
    """The best turns that fit, by their places; what does not fit is left out for smaller ones behind it."""
    left = limit - ruler.message(turns_block({})).upper_bound
    chosen: dict[int, Turn] = {}
    days: set[str] = set()
    misses = 0
    for place in sorted(outside, key=lambda at: (-scores[at], at)):
        turn = turns[place]
        if scores[place] <= 0 or misses >= _MOST_MISSES or left <= 0:
            break
        cost = (
            ruler.text(turn.line) + 1 + (0 if turn.day in days or not turn.day else ruler.text(day_line(turn.day)) + 1)
        )
        if cost > left:
            misses += 1
            continue
        left -= cost
        chosen[place] = turn
        days.add(turn.day)
    return chosen


def _trimmed(window: Window, chosen: dict[int, Turn], scores: Scores, limit: int, ruler: Ruler) -> Fetched | None:
    """The block, counted as a whole: lines together may have some tokens more than each alone."""
    while chosen:
        block = turns_block(chosen)
        size = ruler.message(block)
        if size.upper_bound <= limit:
            return Fetched(window, block, size, tuple(sorted(chosen)))
        del chosen[min(chosen, key=lambda at: (scores[at], -at))]
    return None
