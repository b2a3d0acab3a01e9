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

from omnisphere.chat.v1 import chat_pb2 as chat


class Kind(Enum):
    """What a unit is."""

    INSTRUCTIONS = "instructions"
    QUESTION = "question"
    ANSWER = "answer"
    TOOL_USE = "tool_use"
    ORPHANS = "orphans"


@dataclass(frozen=True, slots=True)
class Unit:
    """The messages from `first` on, `length` of them.

    `is_pinned`: the caller pinned at least one of them. `ends_prefix`: the caller marked the last one as the end of a
    prefix for the prompt cache.
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


def split(messages: Sequence[chat.Message]) -> tuple[Unit, ...]:
    """The units of a conversation, in order and without gaps."""
    messages = list(messages)  # an index into protobuf's own list costs several times as much
    units: list[Unit] = []
    first = 0
    while first < len(messages):
        kind, end = _unit_at(messages, first)
        is_pinned = any(message.pinned for message in messages[first:end])
        units.append(Unit(kind, first, end - first, is_pinned, _ends_prefix(messages[end - 1])))
        first = end
    return tuple(units)


def _unit_at(messages: Sequence[chat.Message], first: int) -> tuple[Kind, int]:
    role = messages[first].role
    if role in (chat.ROLE_SYSTEM, chat.ROLE_DEVELOPER):
        return Kind.INSTRUCTIONS, first + 1
    if role == chat.ROLE_USER:
        return Kind.QUESTION, first + 1
    run = _end_of_tool_run(messages, first + 1)
    if role == chat.ROLE_TOOL:
        return Kind.ORPHANS, run
    calls = {part.tool_call.id for part in messages[first].parts if part.HasField("tool_call")}
    if not calls:
        return Kind.ANSWER, first + 1
    answering = [index for index in range(first + 1, run) if not calls.isdisjoint(_answered(messages[index]))]
    return Kind.TOOL_USE, answering[-1] + 1 if answering else first + 1


def _ends_prefix(message: chat.Message) -> bool:
    return any(part.cache_breakpoint for part in message.parts)


def _end_of_tool_run(messages: Sequence[chat.Message], start: int) -> int:
    end = start
    while end < len(messages) and messages[end].role == chat.ROLE_TOOL:
        end += 1
    return end


def _answered(message: chat.Message) -> set[str]:
    return {part.tool_result.tool_call_id for part in message.parts if part.HasField("tool_result")}
