"""Chooses which units stay as they are: what must, then the newest, cut in blocks. Pure.

    always stay   instructions, pinned units, the last question and all that follows it (an open tool loop),
                  and the start that the caller marked for the prompt cache, while it takes at most half of the room
    then stay     the units from the window's start on
    go first      orphans: results whose call is not there are accepted by no provider

The start of the window depends on the units up to each moment alone: it stays until they no longer fit, and then moves
so far that about half of the room is free again. So the next request of the same conversation finds the same start, in
this process or another. A window opens with a question, because providers refuse a conversation that opens with an
answer or a tool's result. What fits as a whole is left as it is, orphans included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omnisphere.context.v1 import context_service_pb2 as pb
from services.context.units import Kind, Unit

Reason = pb.UnitDecision.Reason
# Looking a member up in its class costs more than what these loops do with it.
_INSTRUCTIONS, _QUESTION, _ANSWER = Kind.INSTRUCTIONS, Kind.QUESTION, Kind.ANSWER
_TOOL_USE, _ORPHANS = Kind.TOOL_USE, Kind.ORPHANS
# Of the room beside what always stays: how much is filled after a cut.
_AFTER_CUT = 0.5
_MOST_MARKED = 0.5


@dataclass(frozen=True, slots=True)
class Window:
    """Which units stay.

    `kept`: per unit whether it stays as it is. `must`: per unit why it must stay; 0: it need not. `start`: the first
    that stays although it need not; `anchor`: where what must stay to the end begins; `used`: tokens of what stays, at
    most the room unless what must stay is larger. `before`: the places at the start of what stays that stood there in
    the request before this one, too; that one ended where the model last spoke.
    """

    kept: Sequence[bool]
    must: Sequence[int]
    start: int
    anchor: int
    used: int
    whole: bool
    before: Sequence[int]

    def reason(self, index: int) -> Reason.ValueType:
        """Why a unit stays or goes."""
        if not self.kept[index]:
            return pb.UnitDecision.REASON_NO_ROOM
        return self.must[index] or pb.UnitDecision.REASON_RECENT  # type: ignore[return-value]


def cut(units: Sequence[Unit], sizes: Sequence[int], room: int) -> Window:
    """The window of a conversation. `sizes` and `room` are in tokens.

    Only what must stay can be larger than the room; then nothing else stays, and the caller has to refuse.
    """
    anchor = anchor_of(units)
    sticks = _sticking(units, sizes, room)
    must = _must_stay(units, sticks, anchor)
    starts = _starts(units, sizes, sticks, room)
    whole = starts is None
    kept = [True] * len(units) if starts is None else _kept(units, must, starts[-1])
    used = sum(size for size, stays in zip(sizes, kept, strict=True) if stays)
    before = _before(units, sticks, starts, kept)
    return Window(kept, must, 0 if starts is None else starts[-1], anchor, used, whole, before)


def narrowed(window: Window, units: Sequence[Unit], sizes: Sequence[int], start: int) -> Window:
    """The same window with another start."""
    kept = _kept(units, window.must, start)
    used = sum(size for size, stays in zip(sizes, kept, strict=True) if stays)
    before = [place for place in window.before if place < min(window.start, start)]
    return Window(kept, window.must, start, window.anchor, used, whole=False, before=before)


def newest(window: Window, units: Sequence[Unit], sizes: Sequence[int], room: int) -> int:
    """Where a window starts that holds no more than `room` tokens before the anchor, from a question on."""
    start, left = window.anchor, room
    for index in range(window.anchor - 1, window.start - 1, -1):
        if window.must[index] or units[index].kind is _ORPHANS:
            continue
        left -= sizes[index]
        if left < 0:
            break
        if units[index].kind is _QUESTION:
            start = index
    return start


def anchor_of(units: Sequence[Unit]) -> int:
    """Where what must stay to the end begins: the last question, or the last unit where nobody asks."""
    for index in range(len(units) - 1, -1, -1):
        if units[index].kind is _QUESTION:
            return index
    return len(units) - 1


def last_spoken(units: Sequence[Unit]) -> int:
    """The place of the last unit that the model made; 0 where there is none."""
    for place in range(len(units) - 1, 0, -1):
        if units[place].kind in (_ANSWER, _TOOL_USE):
            return place
    return 0


def _sticking(units: Sequence[Unit], sizes: Sequence[int], room: int) -> list[int]:
    """Per unit why it stays wherever the conversation stands; 0: it need not."""
    sticks = [0] * len(units)
    marked = _marked(units, sizes, room)
    for index, unit in enumerate(units):
        if unit.kind is _INSTRUCTIONS:
            sticks[index] = pb.UnitDecision.REASON_SYSTEM
        elif unit.is_pinned:
            sticks[index] = pb.UnitDecision.REASON_PINNED
        elif index < marked and unit.kind is not _ORPHANS:
            sticks[index] = pb.UnitDecision.REASON_CACHED_PREFIX
    return sticks


def _must_stay(units: Sequence[Unit], sticks: Sequence[int], anchor: int) -> list[int]:
    must = list(sticks)
    for index in range(anchor, len(units)):
        unit = units[index]
        if unit.kind is _TOOL_USE:
            must[index] = pb.UnitDecision.REASON_OPEN_TOOL_CALL
        elif unit.kind is _QUESTION:
            must[index] = pb.UnitDecision.REASON_LAST_USER
        elif index == anchor or unit.kind is not _ORPHANS:
            must[index] = must[index] or pb.UnitDecision.REASON_RECENT
    return must


def _kept(units: Sequence[Unit], must: Sequence[int], start: int) -> list[bool]:
    return [must[index] != 0 or (index >= start and unit.kind is not _ORPHANS) for index, unit in enumerate(units)]


def _marked(units: Sequence[Unit], sizes: Sequence[int], room: int) -> int:
    """How many units the longest start has that ends with a mark of the caller and is not too large to keep."""
    marked, size = 0, 0
    for index, unit in enumerate(units):
        size += sizes[index]
        if size > room * _MOST_MARKED:
            break
        if unit.ends_prefix:
            marked = index + 1
    return marked


def _starts(units: Sequence[Unit], sizes: Sequence[int], sticks: Sequence[int], room: int) -> list[int] | None:
    """Where the window starts, after each unit: the conversation grows unit by unit as it did. None: all fits."""
    if sum(sizes) <= room:
        return None
    starts: list[int] = []
    start, question, used, fixed, was_cut = 0, -1, 0, 0, False
    for index, unit in enumerate(units):
        if unit.kind is _QUESTION:
            question = index
        size = sizes[index]
        if sticks[index]:
            fixed += size
            used += size
        elif not was_cut or unit.kind is not _ORPHANS:
            used += size
        if used > room:
            if not was_cut:
                was_cut = True
                used -= sum(sizes[i] for i in range(index + 1) if units[i].kind is _ORPHANS and not sticks[i])
            goal = fixed + (room - fixed) * _AFTER_CUT
            # Where nobody has asked yet, only the newest unit must stay.
            last = question if question >= 0 else index
            while start < last and (used > goal or units[start].kind is not _QUESTION):
                if not sticks[start] and units[start].kind is not _ORPHANS:
                    used -= sizes[start]
                start += 1
        starts.append(start)
    return starts


def _before(
    units: Sequence[Unit], sticks: Sequence[int], starts: Sequence[int] | None, kept: Sequence[bool]
) -> list[int]:
    """The places at the start that both this request and the one before it keep."""
    spoken = last_spoken(units)
    start = starts[spoken - 1] if starts is not None and spoken else 0
    same: list[int] = []
    for place in range(spoken):
        stayed = sticks[place] != 0 or (place >= start and (not start or units[place].kind is not _ORPHANS))
        if stayed != kept[place]:
            break
        if stayed:
            same.append(place)
    return same
