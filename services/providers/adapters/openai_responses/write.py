"""A conversation to the JSON of a Responses request."""

from __future__ import annotations

from collections.abc import Sequence

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Encoded, Target, media
from services.providers.adapters.json_text import Json, dumped, is_object, parsed_object
from services.providers.adapters.lost import Lost
from services.providers.adapters.options import CHAT_OPTIONS, SUMMARY, with_vendor_options, without
from services.providers.adapters.turns import NO_ARGUMENTS, effort_word, messages, parts, result_text, schema

_CHOICES = {
    chat_pb2.ToolChoice.MODE_AUTO: "auto",
    chat_pb2.ToolChoice.MODE_NONE: "none",
    chat_pb2.ToolChoice.MODE_REQUIRED: "required",
}
# Fields of the body that the contract speaks for, set or not; of `reasoning` and `text` these alone.
_CARRIED = {
    *("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "temperature", "top_p"),
    *("max_output_tokens", "stream", "stream_options", "previous_response_id", "conversation", "background"),
    *("reasoning.effort", "text.format"),
}


def written(conversation: chat_pb2.Conversation, target: Target, *, stream: bool) -> Encoded:
    """The request. Nothing is kept at the provider, so thoughts travel encrypted."""
    lost = Lost()
    body: Json = {"model": target.served_name, "input": _input(conversation, target, lost)}
    body |= _tools(conversation)
    body |= _text(conversation.response_format)
    body |= _sampling(conversation.sampling, target, lost)
    body["store"] = False
    if "reasoning" in target.capabilities:
        body["include"] = ["reasoning.encrypted_content"]
    body["stream"] = stream
    foreign = CHAT_OPTIONS if "reasoning" in target.capabilities else (*CHAT_OPTIONS, SUMMARY)
    options = without(foreign, conversation.vendor_options_json, lost)
    body = with_vendor_options(body, options, _CARRIED)
    return Encoded("/responses", dumped(body), tuple(lost.degradations))


def _input(conversation: chat_pb2.Conversation, target: Target, lost: Lost) -> list[Json]:
    out: list[Json] = []
    for path, message in messages(conversation):
        if message.name:
            lost.feature(f"{path}.name")
        match message.role:
            case chat_pb2.ROLE_ASSISTANT:
                out.extend(_assistant(path, message, target, lost))
            case chat_pb2.ROLE_TOOL:
                out.extend(_results(path, message, lost))
            case role:
                content = _content(path, message, lost)
                out.append({"role": _role(role, target.quirks), "content": content})
    return out


def _role(role: chat_pb2.Role.ValueType, quirks: frozenset[str]) -> str:
    if role == chat_pb2.ROLE_DEVELOPER:
        return "system" if "system_role_only" in quirks else "developer"
    if role == chat_pb2.ROLE_SYSTEM:
        return "developer" if "developer_role" in quirks else "system"
    return "user"


def _content(path: str, message: chat_pb2.Message, lost: Lost) -> str | list[Json]:
    if len(message.parts) == 1 and message.parts[0].HasField("text") and not message.parts[0].HasField("signature"):
        return message.parts[0].text
    return _pieces([(inner, part) for inner, part in parts(path, message)], lost)


def _pieces(given: Sequence[tuple[str, chat_pb2.Part]], lost: Lost) -> list[Json]:
    out: list[Json] = []
    for path, part in given:
        if part.HasField("signature"):
            lost.signature(f"{path}.signature")
        match part.WhichOneof("content"):
            case "text":
                out.append({"type": "input_text", "text": part.text})
            case "image":
                detail = part.image.detail or "auto"
                out.append({"type": "input_image", "image_url": media.url(part.image), "detail": detail})
            case "document":
                out.append(_file(part.document))
            case _:
                lost.content(path, part)
    return out


def _file(document: chat_pb2.Document) -> Json:
    if document.remote_uri:
        return {"type": "input_file", "file_url": document.remote_uri}
    return {
        "type": "input_file",
        "filename": document.name or "document",
        "file_data": media.data_url(document),
    }


def _assistant(path: str, message: chat_pb2.Message, target: Target, lost: Lost) -> list[Json]:
    """The turn's items in its order, thoughts before the item that they belong to; without one they are refused."""
    out: list[Json] = []
    for inner, part in parts(path, message):
        kind = part.WhichOneof("content")
        if kind == "reasoning":
            if item := _thoughts(part, target, lost, inner):
                out.append(item)
            continue
        if part.HasField("signature"):
            lost.signature(f"{inner}.signature")
        match kind:
            case "text" | "refusal":
                said = {"type": "refusal", "refusal": part.refusal} if kind == "refusal" else None
                said = said or {"type": "output_text", "text": part.text}
                if out and out[-1].get("role") == "assistant":
                    out[-1]["content"].append(said)
                elif part.text or part.refusal:
                    out.append({"type": "message", "role": "assistant", "content": [said]})
            case "tool_call":
                call = part.tool_call
                arguments = call.arguments_json or "{}"
                out.append({"type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments})
            case _:
                lost.content(inner, part)
    while out and out[-1]["type"] == "reasoning":
        out.pop()
        lost.feature(f"{path}.reasoning")
    return out


def _thoughts(part: chat_pb2.Part, target: Target, lost: Lost, path: str) -> Json | None:
    proof = lost.proof(part, target, path)
    if not proof or not is_object(proof):
        lost.content(path, part)
        return None
    fields, text = parsed_object(proof), part.reasoning.text
    if "type" in fields:
        return fields  # another kind of item that only the provider can read
    summary = [{"type": "summary_text", "text": text}] if text else []
    return {"type": "reasoning", "summary": summary} | fields


def _results(path: str, message: chat_pb2.Message, lost: Lost) -> list[Json]:
    """One item per result; pictures and files fit in."""
    out: list[Json] = []
    for inner, part in parts(path, message):
        if part.HasField("signature"):
            lost.signature(f"{inner}.signature")
        result = part.tool_result
        if all(piece.HasField("text") for piece in result.parts):
            output: str | list[Json] = result_text(result, lost, inner)
        else:
            output = _pieces(
                [(f"{inner}.tool_result.parts[{place}]", piece) for place, piece in enumerate(result.parts)], lost
            )
            if result.is_error:
                output.insert(0, {"type": "input_text", "text": "Error:"})
        out.append({"type": "function_call_output", "call_id": result.tool_call_id, "output": output})
    return out


def _tools(conversation: chat_pb2.Conversation) -> Json:
    if not conversation.tools:
        return {}
    encoded: Json = {"tools": [_tool(tool) for tool in conversation.tools]}
    choice = conversation.tool_choice
    if choice.mode == chat_pb2.ToolChoice.MODE_NAMED:
        encoded["tool_choice"] = {"type": "function", "name": choice.name}
    elif choice.mode in _CHOICES:
        encoded["tool_choice"] = _CHOICES[choice.mode]
    if choice.disable_parallel:
        encoded["parallel_tool_calls"] = False
    return encoded


def _tool(tool: chat_pb2.Tool) -> Json:
    """Flat; a schema is kept to unless it says otherwise."""
    encoded: Json = {"type": "function", "name": tool.name}
    if tool.description:
        encoded["description"] = tool.description
    encoded["parameters"] = schema(tool.parameters_json) if tool.parameters_json else NO_ARGUMENTS
    encoded["strict"] = tool.strict
    return encoded


def _text(form: chat_pb2.ResponseFormat) -> Json:
    if form.kind == chat_pb2.ResponseFormat.KIND_JSON_OBJECT:
        return {"text": {"format": {"type": "json_object"}}}
    if form.kind != chat_pb2.ResponseFormat.KIND_JSON_SCHEMA:
        return {}
    named = {"type": "json_schema", "name": form.name, "schema": schema(form.schema_json), "strict": form.strict}
    return {"text": {"format": named}}


def _sampling(sampling: chat_pb2.Sampling, target: Target, lost: Lost) -> Json:
    encoded: Json = {}
    lost.settings(sampling, "seed", "stop")
    if "no_sampling" in target.quirks:
        lost.settings(sampling, "temperature", "top_p")
    else:
        encoded |= {name: getattr(sampling, name) for name in ("temperature", "top_p") if sampling.HasField(name)}
    if sampling.HasField("max_output_tokens"):
        encoded["max_output_tokens"] = sampling.max_output_tokens
    if word := effort_word(sampling, target.quirks):
        encoded["reasoning"] = {"effort": word}
    return encoded
