"""Chooses which units stay: what must, then the newest that fit. Pure.

    always stay   instructions, pinned units, the last question and all that follows it (an open tool loop)
    then stay     the units before the last question, from the newest back, up to the first that does not fit
    go first      orphans: results whose call is not there are accepted by no provider

A window has no holes: behind a unit that was cut, none stays but those that must. It opens with a question, because
providers refuse a conversation that opens with an answer or a tool's result; so what stands before its first question
goes too, unless a kept pinned unit stands right before it. What fits as a whole is left as it is, orphans included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omnisphere.context.v1 import context_service_pb2 as pb
from services.context.units import Kind, Unit

Reason = pb.UnitDecision.Reason


@dataclass(frozen=True, slots=True)
class Choice:
    """What becomes of a unit, and why."""

    unit: Unit
    kept: bool
    reason: Reason.ValueType


def choose(units: Sequence[Unit], sizes: Sequence[int], room: int) -> tuple[Choice, ...]:
    """One choice per unit, in order. `sizes` and `room` are in tokens.

    Only what must stay can be larger than the room; then nothing else stays, and the caller has to refuse.
    """
    anchor = _anchor(units)
    fits = sum(sizes) <= room
    must = [_must_stay(unit, index, anchor) for index, unit in enumerate(units)]
    left = room - sum(size for size, stays in zip(sizes, must, strict=True) if stays)
    window = set(range(len(units))) if fits else _window(units, sizes, must, anchor, left)
    return tuple(
        Choice(unit, kept := must[index] or index in window, _reason(unit, index, anchor, kept=kept))
        for index, unit in enumerate(units)
    )


def _anchor(units: Sequence[Unit]) -> int:
    """Where what must stay to the end begins: the last question, or the last unit where nobody asks."""
    questions = [index for index, unit in enumerate(units) if unit.kind is Kind.QUESTION]
    return questions[-1] if questions else len(units) - 1


def _must_stay(unit: Unit, index: int, anchor: int) -> bool:
    if unit.is_pinned or unit.kind is Kind.INSTRUCTIONS or index == anchor:
        return True
    return index > anchor and unit.kind is not Kind.ORPHANS


def _window(units: Sequence[Unit], sizes: Sequence[int], must: Sequence[bool], anchor: int, left: int) -> set[int]:
    """The units before the anchor that stay although they need not."""
    window: list[int] = []
    for index in range(anchor - 1, -1, -1):
        if must[index] or units[index].kind is Kind.ORPHANS:
            continue
        if sizes[index] > left:
            break
        left -= sizes[index]
        window.append(index)
    while window and not _may_open(units, must, window[-1]):
        window.pop()
    return set(window)


def _may_open(units: Sequence[Unit], must: Sequence[bool], index: int) -> bool:
    if units[index].kind is Kind.QUESTION:
        return True
    before = index - 1
    return before >= 0 and must[before] and units[before].kind is not Kind.INSTRUCTIONS


def _reason(unit: Unit, index: int, anchor: int, *, kept: bool) -> Reason.ValueType:
    if not kept:
        return pb.UnitDecision.REASON_NO_ROOM
    if unit.kind is Kind.INSTRUCTIONS:
        return pb.UnitDecision.REASON_SYSTEM
    if index == anchor and unit.kind is Kind.QUESTION:
        return pb.UnitDecision.REASON_LAST_USER
    if index >= anchor and unit.kind is Kind.TOOL_USE:
        return pb.UnitDecision.REASON_OPEN_TOOL_CALL
    return pb.UnitDecision.REASON_PINNED if unit.is_pinned else pb.UnitDecision.REASON_RECENT
