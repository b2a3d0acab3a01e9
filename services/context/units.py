"""Splits a conversation into units: what is kept or cut as a whole. Pure.

    messages                                              unit
    SYSTEM or DEVELOPER                                   instructions
    USER                                                  question
    ASSISTANT without tool calls                          answer
    ASSISTANT with tool calls, and the TOOL messages      tool use
    behind it up to the last one that answers a call
    TOOL messages that answer no call before them         orphans

Parallel calls, several results in one TOOL message, a result given twice, and a stray one between others all stay
inside the tool use they stand in. Orphans only occur in conversations that no provider accepts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from omnisphere.chat.v1 import chat_pb2 as chat


class Kind(Enum):
    """What a unit is."""

    INSTRUCTIONS = "instructions"
    QUESTION = "question"
    ANSWER = "answer"
    TOOL_USE = "tool_use"
    ORPHANS = "orphans"


class Unit(NamedTuple):
    """The messages from `first` on, `length` of them.

    `is_pinned`: the caller pinned at least one of them. `ends_prefix`: the caller marked the last one as the end of a
    prefix for the prompt cache. A tuple, as a long conversation has thousands of them at every request.
    """

    kind: Kind
    first: int
    length: int
    is_pinned: bool
    ends_prefix: bool

    @property
    def messages(self) -> range:
        """The indexes of its messages."""
        return range(self.first, self.first + self.length)


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a message decides how a conversation splits."""

    role: int
    is_pinned: bool
    ends_prefix: bool
    calls: frozenset[str]
    answers: frozenset[str]


def shape_of(message: chat.Message) -> Shape:
    """The shape of a message."""
    parts = list(message.parts)
    return Shape(
        message.role,
        message.pinned,
        any(part.cache_breakpoint for part in parts),
        frozenset(part.tool_call.id for part in parts if part.HasField("tool_call")),
        frozenset(part.tool_result.tool_call_id for part in parts if part.HasField("tool_result")),
    )


def split(messages: Sequence[chat.Message]) -> tuple[Unit, ...]:
    """The units of a conversation, in order and without gaps."""
    return split_shapes([shape_of(message) for message in messages])


def split_shapes(shapes: Sequence[Shape]) -> tuple[Unit, ...]:
    """The same, of messages whose shapes are known."""
    units: list[Unit] = []
    first, count, plain, answer = 0, len(shapes), _PLAIN, Kind.ANSWER
    while first < count:
        shape = shapes[first]
        kind = plain.get(shape.role)
        if kind is not None or not (shape.calls or shape.role == chat.ROLE_TOOL):
            units.append(Unit(kind or answer, first, 1, shape.is_pinned, shape.ends_prefix))
            first += 1
            continue
        kind, end = _tools_at(shapes, first)
        is_pinned = any(inner.is_pinned for inner in shapes[first:end])
        units.append(Unit(kind, first, end - first, is_pinned, shapes[end - 1].ends_prefix))
        first = end
    return tuple(units)


_PLAIN: dict[int, Kind] = {
    chat.ROLE_SYSTEM: Kind.INSTRUCTIONS,
    chat.ROLE_DEVELOPER: Kind.INSTRUCTIONS,
    chat.ROLE_USER: Kind.QUESTION,
}


def _tools_at(shapes: Sequence[Shape], first: int) -> tuple[Kind, int]:
    """A tool use, or orphans, and where it ends."""
    run = first + 1
    while run < len(shapes) and shapes[run].role == chat.ROLE_TOOL:
        run += 1
    if shapes[first].role == chat.ROLE_TOOL:
        return Kind.ORPHANS, run
    calls = shapes[first].calls
    answering = [index for index in range(first + 1, run) if not calls.isdisjoint(shapes[index].answers)]
    return Kind.TOOL_USE, answering[-1] + 1 if answering else first + 1
