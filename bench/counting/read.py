"""Recorded requests of six wire formats as conversations, as far as their tokens go: texts, calls, tools, pictures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from omnisphere.chat.v1 import chat_pb2 as chat

_ROLES = {
    "system": chat.ROLE_SYSTEM,
    "developer": chat.ROLE_DEVELOPER,
    "user": chat.ROLE_USER,
    "assistant": chat.ROLE_ASSISTANT,
    "model": chat.ROLE_ASSISTANT,
    "tool": chat.ROLE_TOOL,
    "function": chat.ROLE_TOOL,
}
Json = Mapping[str, Any]


def conversation_of(body: Json, model: str) -> chat.Conversation:
    """The request's conversation; proofs in it count as the model's own."""
    read = chat.Conversation()
    for text in (body.get("system"), body.get("instructions"), body.get("systemInstruction")):
        if text:
            _add(read, "system", text)
    given = body.get("messages") or body.get("contents") or body.get("input") or ()
    for message in [{"role": "user", "content": given}] if isinstance(given, str) else given:
        _message(read, message)
    tools = body.get("tools") or body.get("functions") or ()
    for tool in [tools] if isinstance(tools, dict) else tools:
        for defined in tool.get("functionDeclarations") or [tool]:
            _tool(read, defined.get("function") or defined)
    schema = _schema(body)
    if schema:
        read.response_format.name, read.response_format.schema_json = "answer", json.dumps(schema)
    for message in read.messages:
        for part in message.parts:
            if part.HasField("signature"):
                part.signature.origin_model = model
    return read


def model_of(row: Json) -> str:
    """The model that was asked."""
    named = row["request"]["body"].get("model")
    return str(named or row["request"]["path"].rsplit("/", 1)[-1].split(":")[0])


def _message(read: chat.Conversation, message: Json) -> None:
    kind = message.get("type", "message")
    if kind == "function_call":
        read.messages.add(role=chat.ROLE_ASSISTANT).parts.add(tool_call=_call(message))
    elif kind in ("function_call_output", "tool_result"):
        _add(read, "tool", [message])
    elif kind == "reasoning":
        added = _add(read, "assistant", message.get("summary") or ())
        if message.get("encrypted_content"):
            added.parts.add(reasoning=chat.Reasoning(redacted=True)).signature.value = message["encrypted_content"]
    else:
        role = message.get("role", "user")
        content = message.get("content") or message.get("parts") or ()
        if role == "tool":
            content = [{"type": "tool_result", "id": message.get("tool_call_id", ""), "content": content}]
        added = _add(read, role, content)
        for call in message.get("tool_calls") or ():
            added.parts.add(tool_call=_call(call.get("function") or call, str(call.get("id", ""))))
        if message.get("function_call"):
            added.parts.add(tool_call=_call(message["function_call"]))


def _add(read: chat.Conversation, role: str, content: Any) -> chat.Message:  # noqa: ANN401 - any JSON
    message = read.messages.add(role=_ROLES.get(role, chat.ROLE_USER))
    message.parts.extend(_parts(content))
    return message


def _parts(content: Any) -> Iterator[chat.Part]:  # noqa: ANN401 - any JSON
    if isinstance(content, str):
        if content:
            yield chat.Part(text=content)
        return
    pieces = content.get("parts", [content]) if isinstance(content, dict) else content
    for piece in pieces or ():
        yield from _piece(piece) if isinstance(piece, dict) else _parts(piece)


def _piece(piece: Json) -> Iterator[chat.Part]:
    signature = piece.get("thoughtSignature") or piece.get("signature")
    for part in _content(piece):
        if signature:
            part.signature.value = signature
            signature = ""
        yield part


def _content(piece: Json) -> Iterator[chat.Part]:
    kind = str(piece.get("type", ""))
    call = piece.get("functionCall") or (piece if kind == "tool_use" else None)
    result = piece.get("functionResponse")
    if call:
        yield chat.Part(tool_call=_call(call))
    elif result or kind in ("tool_result", "function_call_output"):
        said = result["response"] if result else piece.get("content", piece.get("output", ""))
        name = str(
            piece.get("tool_use_id") or piece.get("call_id") or piece.get("id") or (result or {}).get("name", "")
        )
        parts = list(_parts(said)) if not result else [chat.Part(text=json.dumps(said))]
        yield chat.Part(tool_result=chat.ToolResult(tool_call_id=name, parts=parts))
    elif any(name in piece for name in ("inlineData", "inline_data", "fileData")) or "image" in kind or "file" in kind:
        yield from _file(piece)
    elif kind == "document" or "audio" in kind:
        yield from _document(piece)
    else:
        yield from _parts(piece.get("text") or piece.get("thinking") or piece.get("refusal") or "")


def _file(piece: Json) -> Iterator[chat.Part]:
    media = str(_inner(piece).get("mimeType", ""))
    if media and not media.startswith("image/"):
        yield from _document(piece)
    elif "image" in str(piece.get("type", "image")):
        yield chat.Part(image=chat.Image(remote_uri="https://example.com/a.png"))
    else:
        yield from _document(piece)


def _document(piece: Json) -> Iterator[chat.Part]:
    source = piece.get("source") or {}
    if source.get("type") == "text":
        yield chat.Part(text=str(source.get("data", "")))
    else:
        yield chat.Part(document=chat.Document(remote_uri="https://example.com/a.pdf"))


def _inner(piece: Json) -> Json:
    found: Json = piece.get("inlineData") or piece.get("inline_data") or piece.get("fileData") or {}
    return found


def _call(call: Json, id_: str = "") -> chat.ToolCall:
    arguments = call.get("arguments", call.get("args", call.get("input", "{}")))
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    name = id_ or str(call.get("id") or call.get("call_id") or "")
    return chat.ToolCall(id=name, name=str(call.get("name")), arguments_json=text)


def _tool(read: chat.Conversation, defined: Json) -> None:
    parameters = defined.get("parameters") or defined.get("input_schema") or defined.get("parametersJsonSchema") or {}
    read.tools.add(
        name=str(defined.get("name") or defined.get("type") or "tool"),
        description=str(defined.get("description") or ""),
        parameters_json=json.dumps(parameters),
    )


def _schema(body: Json) -> Json | None:
    for at in (
        ("response_format", "json_schema", "schema"),
        ("text", "format", "schema"),
        ("output_format", "schema"),
        ("output_config", "format", "schema"),
        ("generationConfig", "responseJsonSchema"),
        ("generationConfig", "responseSchema"),
    ):
        found: Any = body
        for name in at:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, dict):
            return found
    return None
