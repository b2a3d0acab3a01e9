"""A finished Fit as the contract says it: messages with blocks in their places, counts, decisions. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from services.context.cut import Asked, Cut
from services.context.families import Tokens
from services.context.units import Unit
from services.context.window import last_spoken

# Within one tenant; 64 bits do not collide there.
_HANDLE_BYTES = 8


@dataclass(frozen=True, slots=True)
class Block:
    """A message of ours that stands before the unit `before`. `places`: units that it shows or sums up."""

    kind: pb.Block.Kind.ValueType
    message: chat.Message
    size: Tokens
    before: int
    places: tuple[int, ...] = ()
    memory_ids: tuple[str, ...] = ()


def response_of(
    asked: Asked, done: Cut, blocks: Sequence[Block], budget: int, degraded: Iterable[chat.Degradation]
) -> pb.FitResponse:
    """The response; `blocks` in their order, those of one place together."""
    counted, window = asked.counted, done.fetched.window
    given = asked.request.conversation.messages
    kept: list[int] = []
    for unit, stays in zip(asked.units, window.kept, strict=True):
        if stays:
            kept += unit.messages
    messages = [given[index] for index in kept]
    places = [_place(asked, kept, block) + number for number, block in enumerate(blocks)]
    for place, block in zip(places, blocks, strict=True):
        messages.insert(place, block.message)
    after = counted.total(kept, [block.size for block in blocks])
    return pb.FitResponse(
        messages=messages,
        before=counted.as_message(counted.total()),
        after=counted.as_message(after),
        budget_tokens=budget,
        decisions=_decisions(asked, done, blocks),
        degradations=degraded,
        count_ref=counted.ref(kept, [block.size for block in blocks]),
        policy=asked.policy,
        blocks=[_said(asked, block, place) for place, block in zip(places, blocks, strict=True)],
        warm_tokens=_warm(asked, window.before),
        warm_tokens_uncut=_warm(asked, range(last_spoken(asked.units))),
    )


def cut_units(asked: Asked, done: Cut) -> list[tuple[str, Unit]]:
    """(handle, unit) of every unit that does not stand as it was."""
    links = done.links
    return [
        (links[unit.first + unit.length][:_HANDLE_BYTES].hex(), unit)
        for unit, kept in zip(asked.units, done.fetched.window.kept, strict=True)
        if not kept
    ]


def _place(asked: Asked, kept: Sequence[int], block: Block) -> int:
    """Behind how many of the kept messages it stands."""
    return bisect_left(kept, asked.units[block.before].first)


def _said(asked: Asked, block: Block, message: int) -> pb.Block:
    sources = [index for place in block.places for index in asked.units[place].messages]
    return pb.Block(message=message, kind=block.kind, source_messages=sources, memory_ids=block.memory_ids)


def _warm(asked: Asked, places: Iterable[int]) -> int:
    """The estimate of these units; 0 where there is none: then the conversation begins."""
    counted, units, found = asked.counted.messages, asked.units, False
    total = asked.counted.fixed.estimate
    for place in places:
        found = True
        _, first, length, _, _ = units[place]
        total += counted[first].estimate
        for index in range(first + 1, first + length):
            total += counted[index].estimate
    return max(0, round(total)) if found else 0


def _decisions(asked: Asked, done: Cut, blocks: Sequence[Block]) -> list[pb.UnitDecision]:
    """One per unit; written for speed, as a long conversation has thousands."""
    window, links = done.fetched.window, done.links
    shown = dict.fromkeys(done.fetched.places, pb.UnitDecision.REASON_RETRIEVED)
    for block in blocks:
        if block.kind == pb.Block.KIND_SUMMARY:
            shown |= dict.fromkeys(block.places, pb.UnitDecision.REASON_SUMMARISED)
    new, recent, gone = pb.UnitDecision, pb.UnitDecision.REASON_RECENT, pb.UnitDecision.REASON_NO_ROOM
    decisions: list[pb.UnitDecision] = []
    must = window.must
    for place, ((_, first, count, _, _), size, kept) in enumerate(
        zip(asked.units, asked.sizes, window.kept, strict=True)
    ):
        if kept:
            reason: Any = must[place] or recent
            decisions.append(new(first_message=first, messages=count, tokens=size, kept=True, reason=reason))
            continue
        reason, handle = shown.get(place, gone), links[first + count][:_HANDLE_BYTES].hex()
        kept = reason == pb.UnitDecision.REASON_RETRIEVED
        decisions.append(new(first_message=first, messages=count, tokens=size, kept=kept, reason=reason, handle=handle))
    return decisions
