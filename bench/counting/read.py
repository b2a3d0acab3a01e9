"""Recorded requests of six wire formats as conversations, as far as their tokens go: texts, calls, tools, pictures."""

from __future__ import annotations

import base64
import json
import re
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
_EFFORTS = {
    "none": chat.REASONING_EFFORT_NONE,
    "minimal": chat.REASONING_EFFORT_LOW,
    "low": chat.REASONING_EFFORT_LOW,
    "medium": chat.REASONING_EFFORT_MEDIUM,
    "high": chat.REASONING_EFFORT_HIGH,
}
_FILES = ("inlineData", "inline_data", "fileData", "file_data")
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
        for defined in tool.get("functionDeclarations") or tool.get("function_declarations") or [tool]:
            _tool(read, defined.get("function") or defined)
    schema = _schema(body)
    if schema:
        read.response_format.name, read.response_format.schema_json = "answer", json.dumps(schema)
    _settings(read, body)
    for message in read.messages:
        for part in message.parts:
            if part.HasField("signature"):
                part.signature.origin_model = model
    return read


def _settings(read: chat.Conversation, body: Json) -> None:
    """What decides the instructions that a provider adds: whether tools must be called, and whether to think."""
    choice = body.get("tool_choice") or body.get("function_call") or ""
    named = choice.get("type", "") if isinstance(choice, dict) else choice
    calling = ((body.get("toolConfig") or {}).get("functionCallingConfig") or {}).get("mode", "")
    if isinstance(choice, dict) and named in ("function", "tool"):
        read.tool_choice.mode = chat.ToolChoice.MODE_NAMED
    elif named in ("required", "any", "REQUIRED") or calling == "ANY":
        read.tool_choice.mode = chat.ToolChoice.MODE_REQUIRED
    elif named == "none" or calling == "NONE":
        read.tool_choice.mode = chat.ToolChoice.MODE_NONE
    thinking = body.get("thinking") or (body.get("generationConfig") or {}).get("thinkingConfig")
    if isinstance(thinking, dict) and thinking.get("type") != "disabled":
        read.sampling.reasoning_effort = chat.REASONING_EFFORT_MEDIUM
    reasoning = body.get("reasoning") or {}
    effort = body.get("reasoning_effort") or (reasoning.get("effort") if isinstance(reasoning, dict) else "")
    if effort in _EFFORTS:
        read.sampling.reasoning_effort = _EFFORTS[effort]


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
        thought = "".join(str(piece.get("text", "")) for piece in message.get("summary") or ())
        hidden = read.messages.add(role=chat.ROLE_ASSISTANT).parts.add(reasoning=chat.Reasoning(redacted=True))
        # Its summary is for people; what the model reads again is in the proof.
        if message.get("encrypted_content"):
            hidden.signature.value = message["encrypted_content"]
        else:
            hidden.reasoning.text = thought
    else:
        role = message.get("role", "user")
        content = message.get("content") or message.get("parts") or ()
        if role == "tool":
            content = [{"type": "tool_result", "id": message.get("tool_call_id", ""), "content": content}]
        added = _add(read, role, content)
        shown = message.get("reasoning_content") or message.get("reasoning") or message.get("thinking")
        if isinstance(shown, str) and shown:
            added.parts.add(reasoning=chat.Reasoning(text=shown))
        for call in message.get("tool_calls") or ():
            added.parts.add(tool_call=_call(call.get("function") or call, str(call.get("id", ""))))
        if message.get("function_call"):
            added.parts.add(tool_call=_call(message["function_call"]))


def _add(read: chat.Conversation, role: str, content: Any) -> chat.Message:  # noqa: ANN401 - any JSON
    """One message; results of tools, which some formats put among the user's words, are one of their own before it."""
    parts = list(_parts(content))
    results = [part for part in parts if part.HasField("tool_result")]
    if results and role != "tool":
        read.messages.add(role=chat.ROLE_TOOL, parts=results)
        parts = [part for part in parts if not part.HasField("tool_result")]
        if not parts:
            return read.messages[-1]
    message = read.messages.add(role=_ROLES.get(role, chat.ROLE_USER))
    message.parts.extend(parts)
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
    signature = (
        piece.get("thoughtSignature")
        or piece.get("thought_signature")
        or piece.get("signature")
        or (piece.get("data") if piece.get("type") == "redacted_thinking" else "")
    )
    for part in _content(piece):
        if signature:
            part.signature.value = signature
            signature = ""
        yield part


def _content(piece: Json) -> Iterator[chat.Part]:
    kind = str(piece.get("type", ""))
    call = piece.get("functionCall") or piece.get("function_call") or (piece if kind == "tool_use" else None)
    result = piece.get("functionResponse") or piece.get("function_response")
    if call:
        yield chat.Part(tool_call=_call(call))
    elif result or kind in ("tool_result", "function_call_output"):
        said = result["response"] if result else piece.get("content", piece.get("output", ""))
        name = str(
            piece.get("tool_use_id") or piece.get("call_id") or piece.get("id") or (result or {}).get("name", "")
        )
        parts = list(_parts(said)) if not result else [chat.Part(text=json.dumps(said)), *_parts(result.get("parts"))]
        yield chat.Part(tool_result=chat.ToolResult(tool_call_id=name, parts=parts))
    elif any(name in piece for name in _FILES) or any(word in kind for word in ("image", "file", "document", "audio")):
        yield from _file(piece)
    elif piece.get("thought") is True or kind in ("thinking", "redacted_thinking"):
        text = str(piece.get("thinking") or piece.get("text") or "")
        yield chat.Part(reasoning=chat.Reasoning(text=text, redacted=not text))
    else:
        yield from _parts(piece.get("text") or piece.get("refusal") or "")


def _file(piece: Json) -> Iterator[chat.Part]:
    """A picture, a file or a sound: its bytes, or where the provider finds it."""
    kind = str(piece.get("type", ""))
    found = _inner(piece)
    media = str(found.get("mimeType") or found.get("mime_type") or found.get("media_type") or "")
    source = _source(piece, found)
    if source.startswith("data:"):
        media, _, source = source.removeprefix("data:").partition(";base64,")
    if media.startswith("image/") or (not media and "image" in kind):
        image = chat.Image(media_type=media, detail=str(_inner(piece).get("detail") or piece.get("detail") or ""))
        _fill(image, source)
        yield chat.Part(image=image)
        return
    document = chat.Document(media_type=media, name=str(found.get("filename") or piece.get("title") or ""))
    _fill(document, source)
    yield chat.Part(document=document)


def _source(piece: Json, found: Json) -> str:
    if found.get("type") == "text":
        return "data:text/plain;base64," + base64.b64encode(str(found.get("data", "")).encode()).decode()
    if found.get("type") == "content":
        return "data:text/plain;base64," + base64.b64encode(json.dumps(found.get("content")).encode()).decode()
    for name in ("data", "url", "file_data", "file_url", "fileUri", "file_uri", "file_id"):
        for holder in (found, piece):
            if isinstance(holder.get(name), str):
                return str(holder[name])
    return str(piece.get("image_url") or "https://example.com/unknown")


def _fill(target: chat.Image | chat.Document, source: str) -> None:
    if source.startswith(("https://", "http://", "gs://")) or len(source) < _SHORTEST:
        target.remote_uri = source
        return
    # Bytes of large files were cut out in the middle of the text; their start still has a picture's size.
    plain = _BASE64.match(source.replace("-", "+").replace("_", "/"))[0]  # type: ignore[index]
    target.data = base64.b64decode(plain[: len(plain) // 4 * 4])


_BASE64 = re.compile(r"[A-Za-z0-9+/]*")
# A name of a file at the provider is shorter than any file's bytes.
_SHORTEST = 60


def _inner(piece: Json) -> Json:
    for name in ("inlineData", "inline_data", "fileData", "file_data", "image_url", "file", "source", "input_audio"):
        found = piece.get(name)
        if isinstance(found, dict):
            return found
    return piece


def _call(call: Json, id_: str = "") -> chat.ToolCall:
    arguments = call.get("arguments", call.get("args", call.get("input", "{}")))
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    name = id_ or str(call.get("id") or call.get("call_id") or "")
    return chat.ToolCall(id=name, name=str(call.get("name")), arguments_json=text)


def _tool(read: chat.Conversation, defined: Json) -> None:
    parameters = (
        defined.get("parameters")
        or defined.get("input_schema")
        or defined.get("parametersJsonSchema")
        or defined.get("parameters_json_schema")
        or {}
    )
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
