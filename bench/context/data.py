"""Long conversations with questions, from conversations.jsonl and questions.jsonl, as messages of the contract."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omnisphere.chat.v1 import chat_pb2 as chat

_TIME = "%I:%M %p on %d %B, %Y"


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: who said what when. `time` is as the file has it."""

    id: str
    session: int
    time: str
    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation of two speakers; the first one asks the model, the second one is it."""

    id: str
    speakers: tuple[str, str]
    turns: tuple[Turn, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a conversation, without its answer. `evidence`: ids of turns; for the scorer and the schedule of
    the replay only, never for what is measured."""

    id: str
    conversation: str
    text: str
    evidence: tuple[str, ...]


def read_conversations(path: Path) -> list[Conversation]:
    """All conversations of a file."""
    return [
        Conversation(row["conversation"], (row["speakers"][0], row["speakers"][1]), tuple(map(_turn, row["turns"])))
        for row in _rows(path)
    ]


def read_questions(path: Path) -> list[Question]:
    """All questions of a file, in its order."""
    return [
        Question(row["id"], row["conversation"], row["question"], tuple(row.get("evidence", ()))) for row in _rows(path)
    ]


def message_of(turn: Turn, conversation: Conversation) -> chat.Message:
    """The turn as a message: a name, the day and hour, a role by speaker."""
    role = chat.ROLE_USER if turn.speaker == conversation.speakers[0] else chat.ROLE_ASSISTANT
    message = chat.Message(role=role, name=turn.speaker, parts=[chat.Part(text=turn.text)])
    message.sent_at.seconds = int(datetime.strptime(turn.time, _TIME).replace(tzinfo=UTC).timestamp())
    return message


def said(text: str, role: chat.Role.ValueType = chat.ROLE_USER) -> chat.Message:
    """A message of one text."""
    return chat.Message(role=role, parts=[chat.Part(text=text)])


def rendered(message: chat.Message) -> str:
    """How a message reads to the model: its name, where it has one, and its text."""
    text = "".join(part.text for part in message.parts)
    return f"{message.name}: {text}" if message.name else text


def _turn(row: dict[str, Any]) -> Turn:
    caption = f" [image: {row['image_caption']}]" if row.get("image_caption") else ""
    return Turn(row["id"], row["session"], row["time"], row["speaker"], row["text"] + caption)


def _rows(path: Path) -> Sequence[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
