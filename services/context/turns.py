"""A unit as text: how it is searched, and how it reads inside a block of earlier turns. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from omnisphere.chat.v1 import chat_pb2 as chat
from services.context.units import Unit

_SPEAKERS = {
    chat.ROLE_SYSTEM: "system",
    chat.ROLE_DEVELOPER: "developer",
    chat.ROLE_USER: "user",
    chat.ROLE_ASSISTANT: "assistant",
    chat.ROLE_TOOL: "tool",
}


@dataclass(frozen=True, slots=True)
class Turn:
    """One unit's words. `speaker`: a name, else the role's word; `day`: when it was said, "" where nobody knows."""

    speaker: str
    text: str
    day: str

    @property
    def line(self) -> str:
        """How it reads in a block."""
        return f"{self.speaker}: {self.text}"


def turn_of(unit: Unit, messages: Sequence[chat.Message]) -> Turn:
    """The words of a unit; verbatim, but for what is no text: calls, results, pictures and files are named."""
    first = messages[unit.first]
    said = [_said(first)]
    said += [f"{_speaker(messages[index])}: {_said(messages[index])}" for index in list(unit.messages)[1:]]
    return Turn(_speaker(first), "\n".join(said), day_of(first))


def day_of(message: chat.Message) -> str:
    """The day in UTC, for example "8 May 2023"; "" where nobody knows."""
    if not message.HasField("sent_at"):
        return ""
    try:
        moment = datetime.fromtimestamp(message.sent_at.seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return ""
    return f"{moment.day} {moment:%B} {moment.year}"


def text_of(message: chat.Message) -> str:
    """What was said in plain words; "" where nothing was."""
    return "\n".join(part.text for part in message.parts if part.text)


def _speaker(message: chat.Message) -> str:
    return message.name or _SPEAKERS.get(message.role, "user")


def _said(message: chat.Message) -> str:
    return "\n".join(filter(None, map(_shown, message.parts)))


def _shown(part: chat.Part) -> str:
    match part.WhichOneof("content"):
        case "text":
            return part.text
        case "refusal":
            return part.refusal
        case "tool_call":
            return f"{part.tool_call.name}({part.tool_call.arguments_json})"
        case "tool_result":
            return "\n".join(filter(None, map(_shown, part.tool_result.parts)))
        case "image":
            return "[image]"
        case "document":
            return f"[document {part.document.name}]" if part.document.name else "[document]"
        case _:
            return ""
