"""The messages of a chat completion request: each becomes one message of our contract, so that places stay the same."""

from __future__ import annotations

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from omnisphere.chat.v1 import chat_pb2
from services.router.edge.errors import wrong
from services.router.edge.openai import read_file, read_image
from services.router.edge.values import Json, array, table, text

_ROLES = {
    "system": chat_pb2.ROLE_SYSTEM,
    "developer": chat_pb2.ROLE_DEVELOPER,
    "user": chat_pb2.ROLE_USER,
    "assistant": chat_pb2.ROLE_ASSISTANT,
    "tool": chat_pb2.ROLE_TOOL,
}


def read_messages(value: object, conversation: chat_pb2.Conversation) -> None:
    """Append the messages. Raises Refused with the place that is wrong."""
    for at, row in enumerate(array(value, "messages")):
        if not isinstance(row, dict):
            raise wrong(f"messages[{at}]", "is not an object", "invalid_type")
        name = row.get("role")
        role = _ROLES.get(name) if isinstance(name, str) else None
        if role is None:
            raise wrong(f"messages[{at}].role", f"is not one of {', '.join(_ROLES)}")
        message = conversation.messages.add(role=role)
        content = row.get("content")
        if role == chat_pb2.ROLE_ASSISTANT:
            _assistant(row, message, f"messages[{at}]")
        elif role == chat_pb2.ROLE_TOOL:
            result = message.parts.add().tool_result
            result.tool_call_id = text(row.get("tool_call_id"), f"messages[{at}].tool_call_id")
            _content(content, result.parts, f"messages[{at}].content")
        elif isinstance(content, str):
            message.parts.add().text = content
        else:
            _content(content, message.parts, f"messages[{at}].content")
        if row.get("name") is not None:
            message.name = text(row["name"], f"messages[{at}].name")


def _content(value: object, parts: RepeatedCompositeFieldContainer[chat_pb2.Part], path: str) -> None:
    if isinstance(value, str):
        parts.add().text = value
        return
    for at, piece in enumerate(array(value, path)):
        where = f"{path}[{at}]"
        match table(piece, where).get("type"):
            case "text":
                parts.add().text = text(piece.get("text"), f"{where}.text")
            case "refusal":
                parts.add().refusal = text(piece.get("refusal"), f"{where}.refusal")
            case "image_url":
                inner = f"{where}.image_url"
                read_image(table(piece.get("image_url"), inner), parts.add().image, inner, "url")
            case "file":
                read_file(table(piece.get("file"), f"{where}.file"), parts.add().document, f"{where}.file")
            case "input_audio" | "video_url" as kind:
                raise wrong(f"{where}.type", f"{kind} is not supported", "unsupported_parameter")
            case _:
                raise wrong(f"{where}.type", "is not text, image_url or file")
        if piece.get("cache_control") is not None:  # an extension that several gateways share
            parts[-1].cache_breakpoint = True


def _assistant(row: Json, message: chat_pb2.Message, path: str) -> None:
    """In the order of place.py: thoughts, content, refusal, calls."""
    if row.get("audio") is not None or row.get("function_call") is not None:
        name = "audio" if row.get("audio") is not None else "function_call"
        raise wrong(f"{path}.{name}", "is not supported", "unsupported_parameter")
    if row.get("reasoning_content"):
        message.parts.add().reasoning.text = text(row["reasoning_content"], f"{path}.reasoning_content")
    if row.get("content") is not None and row["content"] != "":
        _content(row["content"], message.parts, f"{path}.content")
    if row.get("refusal"):
        message.parts.add().refusal = text(row["refusal"], f"{path}.refusal")
    for at, call in enumerate(array(row.get("tool_calls") or [], f"{path}.tool_calls")):
        where = f"{path}.tool_calls[{at}]"
        if table(call, where).get("type", "function") != "function":
            raise wrong(f"{where}.type", "must be function")
        function = table(call.get("function"), f"{where}.function")
        made = message.parts.add().tool_call
        made.id = text(call.get("id"), f"{where}.id")
        made.name = text(function.get("name"), f"{where}.function.name")
        made.arguments_json = text(function.get("arguments"), f"{where}.function.arguments") or "{}"
    if not message.parts:
        message.parts.add().text = ""
