"""A conversation to the JSON of a request of Cohere's chat, version 2."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Encoded, Target, media
from services.providers.adapters.json_text import Json, dumped
from services.providers.adapters.lost import Lost
from services.providers.adapters.options import HINTS, VERBOSITY, with_vendor_options, without
from services.providers.adapters.turns import NO_ARGUMENTS, drawn, function_tool, messages, parts, result_text, schema

_ROLES = {
    chat_pb2.ROLE_SYSTEM: "system",
    chat_pb2.ROLE_DEVELOPER: "system",
    chat_pb2.ROLE_USER: "user",
}
_CHOICES = {
    chat_pb2.ToolChoice.MODE_NONE: "NONE",
    chat_pb2.ToolChoice.MODE_REQUIRED: "REQUIRED",
    chat_pb2.ToolChoice.MODE_NAMED: "REQUIRED",
}
_BUDGETS = {
    chat_pb2.REASONING_EFFORT_LOW: 1_024,
    chat_pb2.REASONING_EFFORT_MEDIUM: 8_192,
    chat_pb2.REASONING_EFFORT_HIGH: 24_576,
}
_SETTINGS = {"temperature": "temperature", "top_p": "p", "seed": "seed", "max_output_tokens": "max_tokens"}
# Fields of the body that the contract speaks for, set or not.
_CARRIED = {
    *("model", "messages", "tools", "tool_choice", "strict_tools", "response_format", "temperature", "p", "seed"),
    *("max_tokens", "stop_sequences", "thinking", "stream"),
}


def written(conversation: chat_pb2.Conversation, target: Target, *, stream: bool) -> Encoded:
    """The request. Raises InvalidRequest for vendor options that the contract carries itself."""
    lost = Lost()
    body: Json = {"model": target.served_name, "messages": _messages(conversation, lost)}
    body |= _tools(conversation, lost)
    body |= _response_format(conversation.response_format)
    body |= _sampling(conversation.sampling)
    body["stream"] = stream
    options = without((*HINTS, VERBOSITY), conversation.vendor_options_json, lost)
    body = with_vendor_options(body, options, _CARRIED)
    return Encoded("/chat", dumped(body), tuple(lost.degradations))


def _messages(conversation: chat_pb2.Conversation, lost: Lost) -> list[Json]:
    out: list[Json] = []
    for path, message in messages(conversation):
        if message.name:
            lost.feature(f"{path}.name")
        for inner, part in parts(path, message):
            if part.HasField("signature"):
                lost.signature(f"{inner}.signature")
        match message.role:
            case chat_pb2.ROLE_ASSISTANT:
                out.append(_assistant(path, message, lost))
            case chat_pb2.ROLE_TOOL:
                for inner, part in parts(path, message):
                    content = result_text(part.tool_result, lost, inner)
                    out.append({"role": "tool", "tool_call_id": part.tool_result.tool_call_id, "content": content})
            case role:
                out.append({"role": _ROLES[role], "content": _content(path, message, lost)})
    return out


def _content(path: str, message: chat_pb2.Message, lost: Lost) -> str | list[Json]:
    pieces: list[Json] = []
    for inner, part in parts(path, message):
        match part.WhichOneof("content"):
            case "text":
                pieces.append({"type": "text", "text": part.text})
            case "image" if message.role == chat_pb2.ROLE_USER:
                detail = {"detail": part.image.detail} if part.image.detail else {}
                pieces.append({"type": "image_url", "image_url": {"url": media.url(part.image)} | detail})
            case _:
                lost.content(inner, part)
    if len(pieces) <= 1 and all(piece["type"] == "text" for piece in pieces):
        return "".join(piece["text"] for piece in pieces)
    return pieces


def _assistant(path: str, message: chat_pb2.Message, lost: Lost) -> Json:
    """Thoughts go back as they came: they have no proof here."""
    content: list[Json] = []
    calls: list[Json] = []
    for inner, part in parts(path, message):
        match part.WhichOneof("content"):
            case "text" | "refusal":
                content.append({"type": "text", "text": part.text or part.refusal})
            case "reasoning" if part.reasoning.text:
                content.append({"type": "thinking", "thinking": part.reasoning.text})
            case "tool_call":
                call = part.tool_call
                function = {"name": call.name, "arguments": call.arguments_json or "{}"}
                calls.append({"id": call.id, "type": "function", "function": function})
            case _:
                lost.content(inner, part)
    encoded: Json = {"role": "assistant"}
    if content or not calls:
        encoded["content"] = content or ""
    if calls:
        encoded["tool_calls"] = calls
    return encoded


def _tools(conversation: chat_pb2.Conversation, lost: Lost) -> Json:
    """A call of one tool cannot be asked for by name: it is, by offering no other."""
    if not conversation.tools:
        return {}
    choice = conversation.tool_choice
    named = choice.name if choice.mode == chat_pb2.ToolChoice.MODE_NAMED else ""
    tools = [function_tool(tool) for tool in conversation.tools if named in ("", tool.name)]
    for tool in tools:
        tool["function"].pop("strict", None)
        tool["function"].setdefault("parameters", NO_ARGUMENTS)
    encoded: Json = {"tools": tools}
    if any(tool.strict for tool in conversation.tools):
        encoded["strict_tools"] = True
    if choice.mode in _CHOICES:
        encoded["tool_choice"] = _CHOICES[choice.mode]
    if choice.disable_parallel:
        lost.feature("conversation.tool_choice.disable_parallel")
    return encoded


def _response_format(form: chat_pb2.ResponseFormat) -> Json:
    if form.kind == chat_pb2.ResponseFormat.KIND_JSON_OBJECT:
        return {"response_format": {"type": "json_object"}}
    if form.kind != chat_pb2.ResponseFormat.KIND_JSON_SCHEMA:
        return {}
    return {"response_format": {"type": "json_object", "json_schema": schema(form.schema_json)}}


def _sampling(sampling: chat_pb2.Sampling) -> Json:
    encoded = drawn(sampling, _SETTINGS)
    if sampling.stop:
        encoded["stop_sequences"] = list(sampling.stop)
    if sampling.reasoning_effort == chat_pb2.REASONING_EFFORT_NONE:
        encoded["thinking"] = {"type": "disabled"}
    elif sampling.reasoning_effort in _BUDGETS:
        encoded["thinking"] = {"type": "enabled", "token_budget": _BUDGETS[sampling.reasoning_effort]}
    return encoded
