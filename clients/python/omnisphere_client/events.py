"""What a stream brings, one small class per kind, to be told apart with `match`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from omnisphere.chat.v1 import chat_pb2


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the model's thoughts."""

    text: str


@dataclass(frozen=True, slots=True)
class RefusalDelta:
    """More of the model's refusal."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """More of a tool call; `id` and `name` stand in its first piece, `arguments_json` is text to append."""

    index: int  # which part of the answer grows
    id: str
    name: str
    arguments_json: str


@dataclass(frozen=True, slots=True)
class WholePart:
    """A whole part at once, for example an image."""

    part: chat_pb2.Part


@dataclass(frozen=True, slots=True)
class Restart:
    """The answer broke off: discard what came, another one follows. Only where restart=True was asked for."""

    reason: str
    attempt: int


Event: TypeAlias = TextDelta | ReasoningDelta | RefusalDelta | ToolCallDelta | WholePart | Restart
