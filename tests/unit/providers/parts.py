"""Parts of messages, and what a format could not carry of them."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import WireFormat
from services.providers.adapters.formats import CHAT
from tests.unit.providers.samples import message, target


def assistant(*parts: chat_pb2.Part) -> chat_pb2.Message:
    return message(chat_pb2.ROLE_ASSISTANT, *parts)


def call(name: str, arguments: str = "{}", call_id: str = "c1") -> chat_pb2.Part:
    return chat_pb2.Part(tool_call=chat_pb2.ToolCall(id=call_id, name=name, arguments_json=arguments))


def result(call_id: str, *parts: chat_pb2.Part, is_error: bool = False) -> chat_pb2.Part:
    return chat_pb2.Part(tool_result=chat_pb2.ToolResult(tool_call_id=call_id, parts=parts, is_error=is_error))


def thoughts(said: str, *, redacted: bool = False) -> chat_pb2.Part:
    return chat_pb2.Part(reasoning=chat_pb2.Reasoning(text=said, redacted=redacted))


def signed(part: chat_pb2.Part, value: str, model: str = "m") -> chat_pb2.Part:
    part.signature.value, part.signature.origin_model = value, model
    return part


def picture() -> chat_pb2.Part:
    return chat_pb2.Part(image=chat_pb2.Image(data=b"\x01\x02", media_type="image/png"))


def tools(*names: str) -> list[chat_pb2.Tool]:
    return [chat_pb2.Tool(name=name) for name in names]


def lost(name: WireFormat, said: chat_pb2.Conversation, *quirks: str) -> list[tuple[str, str]]:
    """(kind, subject) of the degradations."""
    found = CHAT[name].encode(said, target(quirks), stream=False).degradations
    return [(chat_pb2.Degradation.Kind.Name(entry.kind).removeprefix("KIND_"), entry.subject) for entry in found]
