"""Conversations from plain Python values: texts, pictures, files, tools and their results.

Everything here makes the contract's own messages (omnisphere.chat.v1), so what a helper lacks can be set on its result.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from omnisphere.chat.v1 import chat_pb2

if TYPE_CHECKING:
    from omnisphere_client.completion import ToolCall

Content: TypeAlias = str | chat_pb2.Part
Json: TypeAlias = Mapping[str, object] | str


class ChatMessage(TypedDict):
    """One turn as a plain dictionary, the form that most libraries know."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | Sequence[Content]


MessageLike: TypeAlias = chat_pb2.Message | ChatMessage
# A question, or the turns so far, oldest first.
Prompt: TypeAlias = str | Sequence[MessageLike]

_ROLES: dict[str, chat_pb2.Role.ValueType] = {
    "system": chat_pb2.ROLE_SYSTEM,
    "developer": chat_pb2.ROLE_DEVELOPER,
    "user": chat_pb2.ROLE_USER,
    "assistant": chat_pb2.ROLE_ASSISTANT,
}


def user(*content: Content) -> chat_pb2.Message:
    """What the person says: texts, and parts made by `image` and `document`."""
    return _message(chat_pb2.ROLE_USER, content)


def system(*content: Content) -> chat_pb2.Message:
    """Instructions of the operator."""
    return _message(chat_pb2.ROLE_SYSTEM, content)


def assistant(*content: Content) -> chat_pb2.Message:
    """What the model said before. Where you have a Completion, append its `message` instead: it keeps signatures."""
    return _message(chat_pb2.ROLE_ASSISTANT, content)


def image(source: bytes | str, media_type: str = "", *, detail: str = "") -> chat_pb2.Part:
    """A picture: its bytes with their media type ("image/png"), or an https address that the provider fetches."""
    if isinstance(source, str):
        return chat_pb2.Part(image=chat_pb2.Image(remote_uri=source, media_type=media_type, detail=detail))
    _need(media_type)
    return chat_pb2.Part(image=chat_pb2.Image(data=source, media_type=media_type, detail=detail))


def document(source: bytes | str, media_type: str = "", *, name: str = "") -> chat_pb2.Part:
    """A file: its bytes with their media type ("application/pdf"), or an https address that the provider fetches."""
    if isinstance(source, str):
        return chat_pb2.Part(document=chat_pb2.Document(remote_uri=source, media_type=media_type, name=name))
    _need(media_type)
    return chat_pb2.Part(document=chat_pb2.Document(data=source, media_type=media_type, name=name))


def tool(name: str, description: str = "", parameters: Json = "", *, strict: bool = False) -> chat_pb2.Tool:
    """A function that the model may call; `parameters` is the JSON Schema of its arguments, as a mapping or as text."""
    return chat_pb2.Tool(name=name, description=description, parameters_json=json_text(parameters), strict=strict)


def tool_result(call: ToolCall, *content: Content, is_error: bool = False) -> chat_pb2.Message:
    """What your tool returned for a call of the model; `is_error` where it failed and the content says how."""
    result = chat_pb2.ToolResult(
        tool_call_id=call.id, name=call.name, parts=[_part(piece) for piece in content], is_error=is_error
    )
    return chat_pb2.Message(role=chat_pb2.ROLE_TOOL, parts=[chat_pb2.Part(tool_result=result)])


def turns(prompt: Prompt) -> list[chat_pb2.Message]:
    """The prompt as the contract's messages."""
    if isinstance(prompt, str):
        return [user(prompt)]
    return [turn if isinstance(turn, chat_pb2.Message) else _plain(turn) for turn in prompt]


def json_text(value: Json) -> str:
    """JSON as text; text stays as it is, so that its order and numbers do."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(turn: ChatMessage) -> chat_pb2.Message:
    given: Mapping[str, Any] = turn  # as it came: callers without a type checker leave things out
    named, content = given.get("role"), given.get("content")
    role = _ROLES.get(str(named))
    if role is None:
        raise ValueError(f"role {named!r} is none of {', '.join(_ROLES)}; tool results: use tool_result()")
    if content is None:
        raise ValueError("a turn has no content; calls of tools: append the answer's own message")
    return _message(role, [content] if isinstance(content, str) else content)


def _message(role: chat_pb2.Role.ValueType, content: Sequence[Content]) -> chat_pb2.Message:
    return chat_pb2.Message(role=role, parts=[_part(piece) for piece in content])


def _part(piece: Content) -> chat_pb2.Part:
    if isinstance(piece, str):
        return chat_pb2.Part(text=piece)
    if not isinstance(piece, chat_pb2.Part):
        raise TypeError(f"content is made of texts, image() and document(), not of {type(piece).__name__}")
    return piece


def _need(media_type: str) -> None:
    if not media_type:
        raise ValueError("bytes need a media type, for example 'image/png'")
