"""What a recorded request said, in the words of the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from bench.wire.records import Record
from bench.wire.said import anthropic, chat, gemini, responses
from omnisphere.chat.v1 import chat_pb2

_READERS: Mapping[str, Callable[[dict[str, Any], str], chat_pb2.Conversation]] = {
    "openai.chat": chat.conversation,
    "cohere.chat": chat.conversation,
    "ollama.chat": chat.conversation,
    "openai.responses": responses.conversation,
    "anthropic.messages": anthropic.conversation,
    "gemini.generate": gemini.conversation,
}


def recorded(record: Record) -> chat_pb2.Conversation | None:
    """The recorded conversation; None: there is none, or the contract cannot say it. Signatures name the record."""
    if record.body is None or record.api not in _READERS:
        return None
    with suppress(KeyError, TypeError, ValueError, AttributeError):
        said = _READERS[record.api](record.body, record.id)
        if said.messages and all(message.parts for message in said.messages):
            return said
    return None


def conversation_of(record: Record) -> chat_pb2.Conversation:
    """The recorded conversation, or a short one where it is not known."""
    return recorded(record) or greeting()


def greeting() -> chat_pb2.Conversation:
    """A short conversation."""
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, parts=[chat_pb2.Part(text="hello")])
    return chat_pb2.Conversation(messages=[message])


def texts_of(record: Record) -> list[str]:
    """The texts that vectors were asked for; tokens are told as text."""
    said = (record.body or {}).get("input") or "hello"
    return [said] if isinstance(said, str) else [each if isinstance(each, str) else str(each) for each in said]
