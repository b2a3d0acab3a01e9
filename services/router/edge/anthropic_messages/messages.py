"""The messages of a Messages request.

A user turn with tool results becomes two of our messages: the results, then the rest.
"""

from __future__ import annotations

from google.protobuf.internal.containers import RepeatedCompositeFieldContainer

from omnisphere.chat.v1 import chat_pb2
from services.router.edge.anthropic_messages import signatures
from services.router.edge.errors import wrong
from services.router.edge.values import Json, array, compact, decoded, flag, table, text

_Parts = RepeatedCompositeFieldContainer[chat_pb2.Part]


def read_system(value: object, conversation: chat_pb2.Conversation) -> None:
    """The instructions, as text or as blocks of text."""
    if value is None or value in ("", []):
        return
    _instructions(value, conversation.messages.add(role=chat_pb2.ROLE_SYSTEM).parts, "system")


def read_messages(value: object, conversation: chat_pb2.Conversation, model: str) -> None:
    """Append the messages. Raises Refused with the place that is wrong."""
    for at, row in enumerate(array(value, "messages")):
        path = f"messages[{at}]"
        role, content = table(row, path).get("role"), row.get("content")
        if role == "assistant":
            message = conversation.messages.add(role=chat_pb2.ROLE_ASSISTANT)
            if isinstance(content, str):
                message.parts.add().text = content
            else:
                _assistant(array(content, f"{path}.content"), message.parts, f"{path}.content", model)
        elif role == "system":
            _instructions(content, conversation.messages.add(role=chat_pb2.ROLE_SYSTEM).parts, f"{path}.content")
        elif role != "user":
            raise wrong(f"{path}.role", "is not user, assistant or system")
        elif isinstance(content, str):
            conversation.messages.add(role=chat_pb2.ROLE_USER).parts.add().text = content
        else:
            _user(array(content, f"{path}.content"), conversation, f"{path}.content")


def _instructions(value: object, parts: _Parts, path: str) -> None:
    if isinstance(value, str):
        parts.add().text = value
        return
    for at, block in enumerate(array(value, path)):
        where = f"{path}[{at}]"
        if table(block, where).get("type") != "text":
            raise wrong(f"{where}.type", "must be text")
        _plain(block, parts, where)


def _user(blocks: list[Json], conversation: chat_pb2.Conversation, path: str) -> None:
    results: list[chat_pb2.Part] = []
    rest = chat_pb2.Message(role=chat_pb2.ROLE_USER)
    for at, block in enumerate(blocks):
        where = f"{path}[{at}]"
        if table(block, where).get("type") == "tool_result":
            results.append(_tool_result(block, where))
        else:
            _block(block, rest.parts, where)
    if results:
        conversation.messages.add(role=chat_pb2.ROLE_TOOL, parts=results)
    if rest.parts or not results:
        conversation.messages.append(rest)


def _tool_result(block: Json, path: str) -> chat_pb2.Part:
    part = chat_pb2.Part(cache_breakpoint=block.get("cache_control") is not None)
    result = part.tool_result
    result.tool_call_id = text(block.get("tool_use_id"), f"{path}.tool_use_id")
    result.is_error = flag(block.get("is_error"), f"{path}.is_error")
    content = block.get("content")
    if content is None or isinstance(content, str):
        result.parts.add().text = content or ""
        return part
    for at, piece in enumerate(array(content, f"{path}.content")):
        _block(table(piece, f"{path}.content[{at}]"), result.parts, f"{path}.content[{at}]")
    if not result.parts:
        result.parts.add().text = ""
    return part


def _block(block: Json, parts: _Parts, path: str) -> None:
    match block.get("type"):
        case "text":
            _plain(block, parts, path)
        case "image":
            part = parts.add(cache_breakpoint=block.get("cache_control") is not None)
            _source(table(block.get("source"), f"{path}.source"), part.image, f"{path}.source")
        case "document":
            part = parts.add(cache_breakpoint=block.get("cache_control") is not None)
            _source(table(block.get("source"), f"{path}.source"), part.document, f"{path}.source")
            if block.get("context") is not None:
                raise wrong(f"{path}.context", "is not supported", "unsupported_parameter")
            citations = table(block.get("citations") or {}, f"{path}.citations")
            if flag(citations.get("enabled"), f"{path}.citations.enabled"):
                raise wrong(f"{path}.citations.enabled", "is not supported", "unsupported_parameter")
            if block.get("title") is not None:
                part.document.name = text(block["title"], f"{path}.title")
        case _:
            raise wrong(f"{path}.type", "is not text, image, document or tool_result")


def _plain(block: Json, parts: _Parts, path: str) -> None:
    parts.add(
        text=text(block.get("text"), f"{path}.text"),
        cache_breakpoint=block.get("cache_control") is not None,
    )


def _source(source: Json, blob: chat_pb2.Image | chat_pb2.Document, path: str) -> None:
    match source.get("type"):
        case "base64":
            blob.media_type = text(source.get("media_type"), f"{path}.media_type")
            blob.data = decoded(source.get("data"), f"{path}.data")
        case "url":
            blob.remote_uri = text(source.get("url"), f"{path}.url")
        case "text" if isinstance(blob, chat_pb2.Document):
            blob.media_type = "text/plain"
            blob.data = text(source.get("data"), f"{path}.data").encode()
        case _:
            raise wrong(f"{path}.type", "is not base64 or url; a document may also be text")


def _assistant(blocks: list[Json], parts: _Parts, path: str, model: str) -> None:
    for at, block in enumerate(blocks):
        where = f"{path}[{at}]"
        match table(block, where).get("type"):
            case "text":
                _plain(block, parts, where)
            case "thinking":
                part = parts.add()
                part.reasoning.text = text(block.get("thinking"), f"{where}.thinking")
                if block.get("signature"):
                    part.signature.CopyFrom(signatures.read(text(block["signature"], f"{where}.signature"), model))
            case "redacted_thinking":
                part = parts.add()
                part.reasoning.redacted = True
                part.signature.CopyFrom(signatures.read(text(block.get("data"), f"{where}.data"), model))
            case "tool_use":
                part = parts.add(cache_breakpoint=block.get("cache_control") is not None)
                part.tool_call.id = text(block.get("id"), f"{where}.id")
                part.tool_call.name = text(block.get("name"), f"{where}.name")
                part.tool_call.arguments_json = compact(table(block.get("input"), f"{where}.input"), f"{where}.input")
            case _:
                raise wrong(f"{where}.type", "is not text, thinking, redacted_thinking or tool_use")
    if not parts:
        parts.add().text = ""
