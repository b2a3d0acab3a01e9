"""A conversation to the JSON of a Chat Completions request."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Encoded, Target, media
from services.providers.adapters.json_text import Json, dumped
from services.providers.adapters.lost import Lost
from services.providers.adapters.openai_chat import thoughts
from services.providers.adapters.options import HINTS, VERBOSITY, with_vendor_options, without
from services.providers.adapters.turns import EFFORTS, effort_word, function_tool, parts, result_text, schema

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
    *("model", "messages", "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "n"),
    *("response_format", "temperature", "top_p", "seed", "random_seed", "stop", "max_tokens", "max_completion_tokens"),
    *("reasoning_effort", "stream", "stream_options"),
}


def written(conversation: chat_pb2.Conversation, target: Target, *, stream: bool) -> Encoded:
    """The request. Raises InvalidRequest for vendor options that the contract carries itself."""
    lost = Lost()
    body: Json = {"model": target.served_name, "messages": _messages(conversation, target, lost)}
    if conversation.tools:
        body |= _tools(conversation)
    if conversation.HasField("response_format"):
        body |= _response_format(conversation.response_format)
    if conversation.HasField("sampling"):
        body |= _sampling(conversation.sampling, target.quirks, lost)
    body["stream"] = stream
    if stream and "no_stream_options" not in target.quirks:
        body["stream_options"] = {"include_usage": True}
    foreign = HINTS if VERBOSITY in target.quirks else (*HINTS, VERBOSITY)
    options = without(foreign, conversation.vendor_options_json, lost)
    body = with_vendor_options(body, options, _CARRIED)
    return Encoded("/chat/completions", dumped(body), tuple(lost.degradations))


def _messages(conversation: chat_pb2.Conversation, target: Target, lost: Lost) -> list[Json]:
    out: list[Json] = []
    for at, message in enumerate(conversation.messages):
        if plain := _plain(message, target.quirks):
            out.append(plain)
            continue
        path = f"conversation.messages[{at}]"
        if message.role == chat_pb2.ROLE_TOOL:
            out.extend(_tool_results(message, path, lost))
            continue
        encoded: Json = {"role": _role(message.role, target.quirks)}
        if message.name:
            encoded["name"] = message.name
        if message.role == chat_pb2.ROLE_ASSISTANT:
            encoded |= _assistant(message, path, target, lost)
        else:
            encoded["content"] = _content(message, path, target.quirks, lost)
        out.append(encoded)
    return out


def _plain(message: chat_pb2.Message, quirks: frozenset[str]) -> Json | None:
    """Most messages are one text; a conversation has many. None: it is more than that."""
    said, role = message.parts, message.role
    if len(said) != 1 or role == chat_pb2.ROLE_TOOL or message.name:
        return None
    part = said[0]
    if part.WhichOneof("content") != "text" or part.HasField("signature") or part.cache_breakpoint:
        return None
    return {"role": _role(role, quirks) if quirks else _ROLES[role], "content": part.text}


def _role(role: chat_pb2.Role.ValueType, quirks: frozenset[str]) -> str:
    if role == chat_pb2.ROLE_DEVELOPER and "system_role_only" in quirks:
        return "system"
    if role == chat_pb2.ROLE_SYSTEM and "developer_role" in quirks:
        return "developer"
    return _ROLES[role]


def _content(message: chat_pb2.Message, path: str, quirks: frozenset[str], lost: Lost) -> str | list[Json]:
    """Plain text where there is nothing else: every compatible server reads that."""
    pieces: list[Json] = []
    for inner, part in parts(path, message):
        if part.HasField("signature"):
            lost.signature(f"{inner}.signature")
        piece = _piece(part)
        if piece is None:
            lost.content(inner, part)
            continue
        if part.cache_breakpoint and "cache_marks" in quirks:
            piece["cache_control"] = {"type": "ephemeral"}
        pieces.append(piece)
    if len(pieces) <= 1 and all(piece.keys() == {"type", "text"} for piece in pieces):
        return "".join(piece["text"] for piece in pieces)
    return pieces


def _piece(part: chat_pb2.Part) -> Json | None:
    match part.WhichOneof("content"):
        case "text":
            return {"type": "text", "text": part.text}
        case "image":
            image = part.image
            detail = {"detail": image.detail} if image.detail else {}
            return {"type": "image_url", "image_url": {"url": media.url(image)} | detail}
        case "document" if part.document.data:
            document = part.document
            name = document.name or "document"
            return {"type": "file", "file": {"filename": name, "file_data": media.data_url(document)}}
        case _:
            return None


def _assistant(message: chat_pb2.Message, path: str, target: Target, lost: Lost) -> Json:
    texts, calls, refusal = [], [], ""
    echo = thoughts.Echo(target, lost)
    for inner, part in parts(path, message):
        kind = part.WhichOneof("content")
        if kind == "reasoning":
            echo.take(part, inner)
            continue
        if part.HasField("signature"):
            lost.signature(f"{inner}.signature")
        match kind:
            case "text":
                texts.append(part.text)
            case "refusal":
                refusal = part.refusal
            case "tool_call":
                function = {"name": part.tool_call.name, "arguments": part.tool_call.arguments_json or "{}"}
                calls.append({"id": part.tool_call.id, "type": "function", "function": function})
            case _:
                lost.content(inner, part)
    encoded: Json = {"content": "".join(texts) if texts else None}
    if refusal:
        encoded["refusal"] = refusal
    if calls:
        encoded["tool_calls"] = calls
    elif encoded["content"] is None and not refusal:
        encoded["content"] = ""
    return echo.into(encoded)


def _tool_results(message: chat_pb2.Message, path: str, lost: Lost) -> list[Json]:
    """One message per result, as the format wants it; only text fits in."""
    out: list[Json] = []
    for inner, part in parts(path, message):
        if part.HasField("signature"):
            lost.signature(f"{inner}.signature")
        result = part.tool_result
        out.append({"role": "tool", "tool_call_id": result.tool_call_id, "content": result_text(result, lost, inner)})
    return out


def _tools(conversation: chat_pb2.Conversation) -> Json:
    encoded: Json = {"tools": [function_tool(tool) for tool in conversation.tools]}
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
    named = {"name": form.name, "schema": schema(form.schema_json), "strict": form.strict}
    return {"response_format": {"type": "json_schema", "json_schema": named}}


def _sampling(sampling: chat_pb2.Sampling, quirks: frozenset[str], lost: Lost) -> Json:
    encoded: Json = {}
    if "no_sampling" in quirks:
        lost.settings(sampling, "temperature", "top_p")
    else:
        encoded |= {name: getattr(sampling, name) for name in ("temperature", "top_p") if sampling.HasField(name)}
    if sampling.HasField("seed"):
        encoded["random_seed" if "random_seed" in quirks else "seed"] = sampling.seed
    if sampling.HasField("max_output_tokens"):
        limit = "max_completion_tokens" if "max_completion_tokens" in quirks else "max_tokens"
        encoded[limit] = sampling.max_output_tokens
    if sampling.stop:
        encoded["stop"] = list(sampling.stop)
    if sampling.reasoning_effort not in EFFORTS:
        return encoded
    if "thinking_switch" in quirks:
        off = sampling.reasoning_effort == chat_pb2.REASONING_EFFORT_NONE
        encoded["thinking"] = {"type": "disabled" if off else "enabled"}
    elif "no_reasoning_effort" in quirks:
        lost.settings(sampling, "reasoning_effort")
    else:
        encoded["reasoning_effort"] = effort_word(sampling, quirks)
    return encoded
