"""A conversation to the JSON of a request of Ollama's own chat API."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Encoded, Target, media
from services.providers.adapters.json_text import Json, dumped
from services.providers.adapters.lost import Lost
from services.providers.adapters.options import FOREIGN, with_vendor_options, without
from services.providers.adapters.turns import (
    EFFORTS,
    arguments_object,
    drawn,
    function_tool,
    messages,
    parts,
    result_text,
    schema,
)

_ROLES = {
    chat_pb2.ROLE_SYSTEM: "system",
    chat_pb2.ROLE_DEVELOPER: "system",
    chat_pb2.ROLE_USER: "user",
    chat_pb2.ROLE_ASSISTANT: "assistant",
}
_SETTINGS = {"temperature": "temperature", "top_p": "top_p", "seed": "seed", "max_output_tokens": "num_predict"}
# Fields of the body that the contract speaks for, set or not; of `options` these alone.
_CARRIED = {
    *("model", "messages", "tools", "format", "think", "stream", "options.stop"),
    *(f"options.{name}" for name in _SETTINGS.values()),
}


def written(conversation: chat_pb2.Conversation, target: Target, *, stream: bool) -> Encoded:
    """The request. Raises InvalidRequest for vendor options that the contract carries itself."""
    lost = Lost()
    body: Json = {"model": target.served_name, "messages": _messages(conversation, lost)}
    body |= _tools(conversation, lost)
    form = conversation.response_format
    if form.kind == chat_pb2.ResponseFormat.KIND_JSON_OBJECT:
        body["format"] = "json"
    elif form.kind == chat_pb2.ResponseFormat.KIND_JSON_SCHEMA:
        body["format"] = schema(form.schema_json)
    body |= _sampling(conversation.sampling, target.quirks)
    body["stream"] = stream
    options = without(FOREIGN, conversation.vendor_options_json, lost)
    body = with_vendor_options(body, options, _CARRIED)
    return Encoded("/api/chat", dumped(body), tuple(lost.degradations))


def _messages(conversation: chat_pb2.Conversation, lost: Lost) -> list[Json]:
    names: dict[str, str] = {}
    out: list[Json] = []
    for path, message in messages(conversation):
        if message.name:
            lost.feature(f"{path}.name")
        for inner, part in parts(path, message):
            if part.HasField("signature"):
                lost.signature(f"{inner}.signature")
        if message.role == chat_pb2.ROLE_TOOL:
            for inner, part in parts(path, message):
                result = part.tool_result
                name = result.name or names.get(result.tool_call_id, "")
                out.append({"role": "tool", "tool_name": name, "content": result_text(result, lost, inner)})
        else:
            names |= {part.tool_call.id: part.tool_call.name for part in message.parts if part.HasField("tool_call")}
            out.append({"role": _ROLES[message.role]} | _said(path, message, lost))
    return out


def _said(path: str, message: chat_pb2.Message, lost: Lost) -> Json:
    """One text, and beside it pictures, thoughts and calls."""
    texts: list[str] = []
    thoughts: list[str] = []
    encoded: Json = {"content": ""}
    for inner, part in parts(path, message):
        match part.WhichOneof("content"):
            case "text" | "refusal":
                texts.append(part.text or part.refusal)
            case "reasoning" if part.reasoning.text:
                thoughts.append(part.reasoning.text)
            case "image" if part.image.data:
                encoded.setdefault("images", []).append(media.base64_text(part.image.data))
            case "tool_call":
                arguments = arguments_object(part.tool_call, lost, inner)
                call = {"function": {"name": part.tool_call.name, "arguments": arguments}}
                encoded.setdefault("tool_calls", []).append(call)
            case _:
                lost.content(inner, part)
    encoded["content"] = "".join(texts)
    if thoughts:
        encoded["thinking"] = "".join(thoughts)
    return encoded


def _tools(conversation: chat_pb2.Conversation, lost: Lost) -> Json:
    """The format has no word for which tools must be called; none are, where none are offered."""
    choice = conversation.tool_choice
    if not conversation.tools or choice.mode == chat_pb2.ToolChoice.MODE_NONE:
        return {}
    if choice.mode in (chat_pb2.ToolChoice.MODE_REQUIRED, chat_pb2.ToolChoice.MODE_NAMED):
        lost.feature("conversation.tool_choice")
    if choice.disable_parallel:
        lost.feature("conversation.tool_choice.disable_parallel")
    encoded = []
    for at, tool in enumerate(conversation.tools):
        if tool.strict:
            lost.feature(f"conversation.tools[{at}].strict")
        described = function_tool(tool)
        described["function"].pop("strict", None)
        encoded.append(described)
    return {"tools": encoded}


def _sampling(sampling: chat_pb2.Sampling, quirks: frozenset[str]) -> Json:
    options = drawn(sampling, _SETTINGS)
    if sampling.stop:
        options["stop"] = list(sampling.stop)
    encoded: Json = {"options": options} if options else {}
    if sampling.reasoning_effort in EFFORTS:
        word = EFFORTS[sampling.reasoning_effort]
        encoded["think"] = word if "thinking_level" in quirks and word != "none" else word != "none"
    return encoded
