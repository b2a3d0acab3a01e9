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
# Of the room beside what always stays: how much is filled after a cut.
_AFTER_CUT = 0.5
_MOST_MARKED = 0.5


@dataclass(frozen=True, slots=True)
class Window:
    """Which units stay. `start`: the first that stays although it need not; `anchor`: where what must stay to the end
    begins; `used`: tokens of what stays, at most the room unless what must stay is larger."""

    must: tuple[Reason.ValueType, ...]  # per unit why it must stay; UNSPECIFIED: it need not
    start: int
    anchor: int
    used: int
    whole: bool

    def keeps(self, index: int, unit: Unit) -> bool:
        """Whether the unit stays as it is."""
        return self.whole or self.must[index] != 0 or (index >= self.start and unit.kind is not Kind.ORPHANS)

    def reason(self, index: int, unit: Unit) -> Reason.ValueType:
        """Why it stays or goes."""
        if not self.keeps(index, unit):
            return pb.UnitDecision.REASON_NO_ROOM
        return self.must[index] or pb.UnitDecision.REASON_RECENT


def cut(units: Sequence[Unit], sizes: Sequence[int], room: int) -> Window:
    """The window of a conversation. `sizes` and `room` are in tokens.

    Only what must stay can be larger than the room; then nothing else stays, and the caller has to refuse.
    """
    anchor = anchor_of(units)
    must = _must_stay(units, sizes, anchor, room)
    total = sum(sizes)
    if total <= room:
        return Window(must, 0, anchor, total, whole=True)
    start = _start(units, sizes, must, room)
    return narrowed(Window(must, start, anchor, 0, whole=False), units, sizes, start)


def narrowed(window: Window, units: Sequence[Unit], sizes: Sequence[int], start: int) -> Window:
    """The same window with another start."""
    moved = Window(window.must, start, window.anchor, 0, whole=False)
    used = sum(size for index, size in enumerate(sizes) if moved.keeps(index, units[index]))
    return Window(window.must, start, window.anchor, used, whole=False)


def newest(window: Window, units: Sequence[Unit], sizes: Sequence[int], room: int) -> int:
    """Where a window starts that holds no more than `room` tokens before the anchor, from a question on."""
    start, left = window.anchor, room
    for index in range(window.anchor - 1, window.start - 1, -1):
        if window.must[index] or units[index].kind is Kind.ORPHANS:
            continue
        left -= sizes[index]
        if left < 0:
            break
        if units[index].kind is Kind.QUESTION:
            start = index
    return start


def anchor_of(units: Sequence[Unit]) -> int:
    """Where what must stay to the end begins: the last question, or the last unit where nobody asks."""
    for index in range(len(units) - 1, -1, -1):
        if units[index].kind is Kind.QUESTION:
            return index
    return len(units) - 1


def _must_stay(units: Sequence[Unit], sizes: Sequence[int], anchor: int, room: int) -> tuple[Reason.ValueType, ...]:
    marked = _marked(units, sizes, room)
    return tuple(_why(unit, index, anchor, marked) for index, unit in enumerate(units))


def _why(unit: Unit, index: int, anchor: int, marked: int) -> Reason.ValueType:
    if unit.kind is Kind.INSTRUCTIONS:
        return pb.UnitDecision.REASON_SYSTEM
    if index >= anchor and (index == anchor or unit.kind is not Kind.ORPHANS):
        if unit.kind is Kind.TOOL_USE:
            return pb.UnitDecision.REASON_OPEN_TOOL_CALL
        if unit.kind is Kind.QUESTION:
            return pb.UnitDecision.REASON_LAST_USER
        return pb.UnitDecision.REASON_PINNED if unit.is_pinned else pb.UnitDecision.REASON_RECENT
    if unit.is_pinned:
        return pb.UnitDecision.REASON_PINNED
    if index < marked and unit.kind is not Kind.ORPHANS:
        return pb.UnitDecision.REASON_CACHED_PREFIX
    return pb.UnitDecision.REASON_UNSPECIFIED


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


def _start(units: Sequence[Unit], sizes: Sequence[int], must: Sequence[int], room: int) -> int:
    """Where the window starts, found by letting the conversation grow unit by unit as it did."""
    start, question, used, fixed, was_cut = 0, 0, 0, 0, False
    stays = [reason != 0 and not _only_by_place(reason) for reason in must]
    for index, unit in enumerate(units):
        if unit.kind is Kind.QUESTION:
            question = index
        elif question == 0 and units[0].kind is not Kind.QUESTION:
            question = index  # nobody has asked yet
        if stays[index]:
            fixed += sizes[index]
        if stays[index] or not (was_cut and unit.kind is Kind.ORPHANS):
            used += sizes[index]
        if used <= room:
            continue
        if not was_cut:
            was_cut = True
            used -= sum(sizes[i] for i in range(index + 1) if units[i].kind is Kind.ORPHANS and not stays[i])
        goal = fixed + (room - fixed) * _AFTER_CUT
        while start < question and (used > goal or not _opens(units[start])):
            if not stays[start] and units[start].kind is not Kind.ORPHANS:
                used -= sizes[start]
            start += 1
    return start


def _only_by_place(reason: int) -> bool:
    """Whether a unit must stay only because it stands at the end, which it will not always do."""
    return reason in (
        pb.UnitDecision.REASON_LAST_USER,
        pb.UnitDecision.REASON_OPEN_TOOL_CALL,
        pb.UnitDecision.REASON_RECENT,
    )


def _opens(unit: Unit) -> bool:
    return unit.kind is Kind.QUESTION
