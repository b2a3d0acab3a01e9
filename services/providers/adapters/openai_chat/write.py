"""A conversation to the JSON of a Chat Completions request."""

from __future__ import annotations

import base64
import json
from typing import Any

import orjson

from omnisphere.chat.v1 import chat_pb2
from services.chassis.errors import InvalidRequest
from services.providers.adapters import Encoded, Target

Json = dict[str, Any]
_ROLES = {
    chat_pb2.ROLE_SYSTEM: "system",
    chat_pb2.ROLE_DEVELOPER: "developer",
    chat_pb2.ROLE_USER: "user",
    chat_pb2.ROLE_ASSISTANT: "assistant",
}
_CHOICES = {
    chat_pb2.ToolChoice.MODE_AUTO: "auto",
    chat_pb2.ToolChoice.MODE_NONE: "none",
    chat_pb2.ToolChoice.MODE_REQUIRED: "required",
}
# Fields of the body that the contract speaks for, set or not; `n` and `functions` it leaves out on purpose.
_CARRIED = {
    *("model", "messages", "tools", "tool_choice", "parallel_tool_calls", "functions", "response_format", "n"),
    *("temperature", "top_p", "seed", "stop", "max_tokens", "max_completion_tokens", "reasoning_effort"),
    *("stream", "stream_options"),
}
_EFFORTS = {
    chat_pb2.REASONING_EFFORT_NONE: "none",
    chat_pb2.REASONING_EFFORT_LOW: "low",
    chat_pb2.REASONING_EFFORT_MEDIUM: "medium",
    chat_pb2.REASONING_EFFORT_HIGH: "high",
}


def written(conversation: chat_pb2.Conversation, target: Target, *, stream: bool) -> Encoded:
    """The request. Raises InvalidRequest for vendor options that the contract carries itself."""
    lost = _Lost()
    quirks = target.quirks
    body: Json = {"model": target.served_name, "messages": _messages(conversation, quirks, lost)}
    body |= _tools(conversation)
    body |= _response_format(conversation.response_format)
    body |= _sampling(conversation.sampling, quirks)
    body["stream"] = stream
    if stream:
        body["stream_options"] = {"include_usage": True}
    if conversation.vendor_options_json:
        body = _with_vendor_options(body, conversation.vendor_options_json)
    return Encoded("/chat/completions", _dumped(body), tuple(lost.degradations))


def _dumped(body: Json) -> bytes:
    try:
        return orjson.dumps(body)
    except TypeError:  # half a surrogate pair, or a number of more than 64 bits, in a vendor's option
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return text.encode("utf-8", errors="backslashreplace")


class _Lost:
    """Collects what the format cannot carry."""

    def __init__(self) -> None:
        self.degradations: list[chat_pb2.Degradation] = []

    def feature(self, path: str) -> None:
        self._add(chat_pb2.Degradation.KIND_FEATURE_DROPPED, path)

    def signature(self, path: str) -> None:
        self._add(chat_pb2.Degradation.KIND_SIGNATURE_DROPPED, path)

    def _add(self, kind: chat_pb2.Degradation.Kind.ValueType, path: str) -> None:
        self.degradations.append(chat_pb2.Degradation(kind=kind, subject=path))


def _messages(conversation: chat_pb2.Conversation, quirks: frozenset[str], lost: _Lost) -> list[Json]:
    out: list[Json] = []
    for at, message in enumerate(conversation.messages):
        if plain := _plain(message, quirks):
            out.append(plain)
            continue
        path = f"conversation.messages[{at}]"
        for place, part in enumerate(message.parts):
            if part.HasField("signature"):
                lost.signature(f"{path}.parts[{place}].signature")
        if message.role == chat_pb2.ROLE_TOOL:
            out.extend(_tool_results(message, path, lost))
            continue
        encoded: Json = {"role": _role(message.role, quirks)}
        if message.name:
            encoded["name"] = message.name
        if message.role == chat_pb2.ROLE_ASSISTANT:
            encoded |= _assistant(message, path, lost)
        else:
            encoded["content"] = _content(message, path, lost)
        out.append(encoded)
    return out


def _plain(message: chat_pb2.Message, quirks: frozenset[str]) -> Json | None:
    """Most messages are one text; a conversation has many. None: it is more than that."""
    parts, role = message.parts, message.role
    if len(parts) != 1 or role == chat_pb2.ROLE_TOOL or message.name:
        return None
    part = parts[0]
    if part.WhichOneof("content") != "text" or part.HasField("signature"):
        return None
    return {"role": _role(role, quirks) if quirks else _ROLES[role], "content": part.text}


def _role(role: chat_pb2.Role.ValueType, quirks: frozenset[str]) -> str:
    if role == chat_pb2.ROLE_DEVELOPER and "system_role_only" in quirks:
        return "system"
    if role == chat_pb2.ROLE_SYSTEM and "developer_role" in quirks:
        return "developer"
    return _ROLES[role]


def _content(message: chat_pb2.Message, path: str, lost: _Lost) -> str | list[Json]:
    """Plain text where there is nothing else: every compatible server reads that."""
    pieces: list[Json] = []
    for place, part in enumerate(message.parts):
        piece = _piece(part)
        if piece is None:
            lost.feature(f"{path}.parts[{place}].{part.WhichOneof('content')}")
        else:
            pieces.append(piece)
    if all(piece["type"] == "text" for piece in pieces) and len(pieces) <= 1:
        return "".join(piece["text"] for piece in pieces)
    return pieces


def _piece(part: chat_pb2.Part) -> Json | None:
    match part.WhichOneof("content"):
        case "text":
            return {"type": "text", "text": part.text}
        case "image":
            image = part.image
            url = image.remote_uri or _data_url(image.media_type, image.data)
            return {"type": "image_url", "image_url": {"url": url} | ({"detail": image.detail} if image.detail else {})}
        case "document" if part.document.data:
            document = part.document
            data = _data_url(document.media_type, document.data)
            return {"type": "file", "file": {"filename": document.name or "document", "file_data": data}}
        case _:
            return None


def _assistant(message: chat_pb2.Message, path: str, lost: _Lost) -> Json:
    texts, calls, refusal = [], [], ""
    for place, part in enumerate(message.parts):
        match part.WhichOneof("content"):
            case "text":
                texts.append(part.text)
            case "refusal":
                refusal = part.refusal
            case "tool_call":
                function = {"name": part.tool_call.name, "arguments": part.tool_call.arguments_json or "{}"}
                calls.append({"id": part.tool_call.id, "type": "function", "function": function})
            case kind:
                lost.feature(f"{path}.parts[{place}].{kind}")
    encoded: Json = {"content": "".join(texts) if texts else None}
    if refusal:
        encoded["refusal"] = refusal
    if calls:
        encoded["tool_calls"] = calls
    elif encoded["content"] is None and not refusal:
        encoded["content"] = ""
    return encoded


def _tool_results(message: chat_pb2.Message, path: str, lost: _Lost) -> list[Json]:
    """One message per result, as the format wants it; only text fits in."""
    out: list[Json] = []
    for place, part in enumerate(message.parts):
        result = part.tool_result
        for inner, piece in enumerate(result.parts):
            if piece.WhichOneof("content") != "text":
                lost.feature(f"{path}.parts[{place}].tool_result.parts[{inner}].{piece.WhichOneof('content')}")
        text = "".join(piece.text for piece in result.parts)
        content = f"Error: {text}" if result.is_error else text
        out.append({"role": "tool", "tool_call_id": result.tool_call_id, "content": content})
    return out


def _tools(conversation: chat_pb2.Conversation) -> Json:
    if not conversation.tools:
        return {}
    tools = []
    for tool in conversation.tools:
        function: Json = {"name": tool.name}
        if tool.description:
            function["description"] = tool.description
        if tool.parameters_json:
            function["parameters"] = json.loads(tool.parameters_json)
        if tool.strict:
            function["strict"] = True
        tools.append({"type": "function", "function": function})
    encoded: Json = {"tools": tools}
    choice = conversation.tool_choice
    if choice.mode == chat_pb2.ToolChoice.MODE_NAMED:
        encoded["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    elif choice.mode in _CHOICES:
        encoded["tool_choice"] = _CHOICES[choice.mode]
    if choice.disable_parallel:
        encoded["parallel_tool_calls"] = False
    return encoded


def _response_format(form: chat_pb2.ResponseFormat) -> Json:
    if form.kind == chat_pb2.ResponseFormat.KIND_JSON_OBJECT:
        return {"response_format": {"type": "json_object"}}
    if form.kind != chat_pb2.ResponseFormat.KIND_JSON_SCHEMA:
        return {}
    schema = {"name": form.name, "schema": json.loads(form.schema_json), "strict": form.strict}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _sampling(sampling: chat_pb2.Sampling, quirks: frozenset[str]) -> Json:
    encoded: Json = {}
    for name in ("temperature", "top_p", "seed"):
        if sampling.HasField(name):
            encoded[name] = getattr(sampling, name)
    if sampling.HasField("max_output_tokens"):
        limit = "max_completion_tokens" if "max_completion_tokens" in quirks else "max_tokens"
        encoded[limit] = sampling.max_output_tokens
    if sampling.stop:
        encoded["stop"] = list(sampling.stop)
    if sampling.reasoning_effort in _EFFORTS:
        encoded["reasoning_effort"] = _EFFORTS[sampling.reasoning_effort]
    return encoded


def _with_vendor_options(body: Json, text: str) -> Json:
    field = "conversation.vendor_options_json"
    options: Json = json.loads(text)
    for name in sorted(set(options) & (set(body) | _CARRIED)):
        raise InvalidRequest(field=field, problem=f"names {name[:64]}, which the contract carries itself")
    return body | options


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
