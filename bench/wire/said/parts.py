"""Parts of the contract from what recorded requests have in several formats."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

from omnisphere.chat.v1 import chat_pb2

Json = dict[str, Any]
ROLES = {
    "system": chat_pb2.ROLE_SYSTEM,
    "developer": chat_pb2.ROLE_DEVELOPER,
    "user": chat_pb2.ROLE_USER,
    "assistant": chat_pb2.ROLE_ASSISTANT,
    "model": chat_pb2.ROLE_ASSISTANT,
    "tool": chat_pb2.ROLE_TOOL,
}
CHOICES = {
    "auto": chat_pb2.ToolChoice.MODE_AUTO,
    "none": chat_pb2.ToolChoice.MODE_NONE,
    "required": chat_pb2.ToolChoice.MODE_REQUIRED,
    "any": chat_pb2.ToolChoice.MODE_REQUIRED,
}
EFFORTS = {
    "none": chat_pb2.REASONING_EFFORT_NONE,
    "low": chat_pb2.REASONING_EFFORT_LOW,
    "medium": chat_pb2.REASONING_EFFORT_MEDIUM,
    "high": chat_pb2.REASONING_EFFORT_HIGH,
}


def message(role: chat_pb2.Role.ValueType, parts: Iterable[chat_pb2.Part]) -> chat_pb2.Message:
    """A turn."""
    return chat_pb2.Message(role=role, parts=parts)


def text(value: str) -> chat_pb2.Part:
    """Plain text."""
    return chat_pb2.Part(text=value)


def image(url: str) -> chat_pb2.Part:
    """A picture by its address, or from a data: URL."""
    if not url.startswith("data:"):
        return chat_pb2.Part(image=chat_pb2.Image(remote_uri=url))
    media_type, data = unpacked(url)
    return chat_pb2.Part(image=chat_pb2.Image(data=data, media_type=media_type))


def document(url: str, name: str = "") -> chat_pb2.Part:
    """A file by its address, or from a data: URL."""
    if not url.startswith("data:"):
        return chat_pb2.Part(document=chat_pb2.Document(remote_uri=url, name=name))
    media_type, data = unpacked(url)
    return chat_pb2.Part(document=chat_pb2.Document(data=data, media_type=media_type, name=name))


def unpacked(url: str) -> tuple[str, bytes]:
    """(media type, bytes) of a data: URL."""
    head, _, data = url.removeprefix("data:").partition(",")
    return head.removesuffix(";base64"), decoded(data)


def decoded(data: str) -> bytes:
    """Base64 of either alphabet. Recordings may have cut it short."""
    plain = data.replace("-", "+").replace("_", "/").rstrip("=")
    plain = "".join(character for character in plain if character.isalnum() or character in "+/")
    plain = plain[: len(plain) // 4 * 4] or "AAAA"
    return base64.b64decode(plain)


def call(call_id: str, name: str, arguments: object) -> chat_pb2.Part:
    """A tool call."""
    written = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return chat_pb2.Part(tool_call=chat_pb2.ToolCall(id=call_id, name=name, arguments_json=written or "{}"))


def result(call_id: str, parts: Iterable[chat_pb2.Part], *, name: str = "", is_error: bool = False) -> chat_pb2.Part:
    """A tool's result."""
    given = list(parts) or [text("")]
    return chat_pb2.Part(
        tool_result=chat_pb2.ToolResult(tool_call_id=call_id, name=name, parts=given, is_error=is_error)
    )


def signed(part: chat_pb2.Part, value: str, model: str) -> chat_pb2.Part:
    """The part with its proof, where there is one."""
    if value:
        part.signature.value, part.signature.origin_model = value, model
    return part


def thoughts(said: str, *, redacted: bool = False) -> chat_pb2.Part:
    """A model's thoughts."""
    return chat_pb2.Part(reasoning=chat_pb2.Reasoning(text=said, redacted=redacted))


def tool(name: str, description: object, schema: object, *, strict: bool = False) -> chat_pb2.Tool:
    """A function."""
    return chat_pb2.Tool(
        name=name,
        description=description if isinstance(description, str) else "",
        parameters_json=json.dumps(schema) if schema else "",
        strict=strict,
    )


def schema_format(name: str, schema: object, *, strict: bool) -> chat_pb2.ResponseFormat:
    """Answers that keep to a schema."""
    return chat_pb2.ResponseFormat(
        kind=chat_pb2.ResponseFormat.KIND_JSON_SCHEMA,
        name=name or "answer",
        schema_json=json.dumps(schema),
        strict=strict,
    )


def sampling(body: Json, names: Json) -> chat_pb2.Sampling:
    """Settings by the names that a format has for them."""
    found = chat_pb2.Sampling()
    for ours, theirs in names.items():
        value = body.get(theirs)
        if isinstance(value, int | float) and not isinstance(value, bool):
            setattr(found, ours, float(value) if ours in ("temperature", "top_p") else int(value))
    return found
