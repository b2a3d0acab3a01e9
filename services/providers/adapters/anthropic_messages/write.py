"""A conversation to the JSON of an Anthropic Messages request."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2
from services.chassis.errors import InvalidRequest
from services.providers.adapters import Encoded, Target
from services.providers.adapters.anthropic_messages import thinking
from services.providers.adapters.anthropic_messages.blocks import CallIds, block, limited, marked, result
from services.providers.adapters.json_text import Json, dumped
from services.providers.adapters.lost import Lost
from services.providers.adapters.options import FOREIGN, with_vendor_options, without
from services.providers.adapters.turns import INSTRUCTIONS, NO_ARGUMENTS, instructions, messages, parts, schema

_CHOICES = {
    chat_pb2.ToolChoice.MODE_AUTO: "auto",
    chat_pb2.ToolChoice.MODE_NONE: "none",
    chat_pb2.ToolChoice.MODE_REQUIRED: "any",
    chat_pb2.ToolChoice.MODE_NAMED: "tool",
}
# Fields of the body that the contract speaks for, set or not; of output_config these alone.
_CARRIED = {
    *("model", "messages", "system", "tools", "tool_choice", "max_tokens", "stop_sequences", "temperature", "top_p"),
    *("thinking", "output_format", "output_config.format", "output_config.effort", "stream"),
}


def written(conversation: chat_pb2.Conversation, target: Target, *, stream: bool) -> Encoded:
    """The request. Raises InvalidRequest for vendor options that the contract carries itself."""
    lost = Lost()
    turns = _turns(conversation, target, lost)
    body: Json = {"model": target.served_name, "max_tokens": _limit(conversation.sampling, target)}
    body |= _system(conversation, lost)
    body["messages"] = turns
    body |= _tools(conversation)
    body |= thinking.settings(conversation, turns, target, body["max_tokens"], lost)
    body |= _sampling(conversation.sampling, target, lost, thinks="thinking" in body)
    output = _output(conversation.response_format, lost) | body.pop("output_config", {})
    if output:
        body["output_config"] = output
    body["stream"] = stream
    limited(body)
    options = without(FOREIGN, conversation.vendor_options_json, lost)
    body = with_vendor_options(body, options, _CARRIED)
    return Encoded("/messages", dumped(body), tuple(lost.degradations))


def _limit(sampling: chat_pb2.Sampling, target: Target) -> int:
    """The format wants a limit; without one, the model's own."""
    return sampling.max_output_tokens if sampling.HasField("max_output_tokens") else target.max_output_tokens


def _system(conversation: chat_pb2.Conversation, lost: Lost) -> Json:
    said = instructions(conversation, lost)
    if not said:
        return {}
    if len(said) == 1 and not said[0].cache_breakpoint:
        return {"system": said[0].text}
    return {"system": [marked({"type": "text", "text": part.text}, part) for part in said]}


def _turns(conversation: chat_pb2.Conversation, target: Target, lost: Lost) -> list[Json]:
    """User and assistant in turn. All results of a turn's calls stand first in the one user turn that follows it."""
    ids, out = CallIds(), list[Json]()
    for path, message in messages(conversation):
        if message.role in INSTRUCTIONS:
            continue
        if message.name:
            lost.feature(f"{path}.name")
        blocks: list[Json] = []
        for inner, part in parts(path, message):
            if part.HasField("tool_result"):
                encoded: Json | None = result(part, ids, lost, inner)
            else:
                encoded = block(part, ids, target, lost, inner)
            if encoded is not None:
                blocks.append(marked(encoded, part))
        role = "assistant" if message.role == chat_pb2.ROLE_ASSISTANT else "user"
        if not blocks:
            continue
        if out and out[-1]["role"] == role:
            out[-1]["content"].extend(blocks)
        else:
            out.append({"role": role, "content": blocks})
    if not out:
        raise InvalidRequest(field="conversation.messages", problem="have nothing that this model could be sent")
    last = out[-1]["content"][-1]
    if out[-1]["role"] == "assistant" and last["type"] == "text":  # what the answer goes on from
        last["text"] = last["text"].rstrip()
        if not last["text"]:
            out[-1]["content"].pop()
    return [turn for turn in out if turn["content"]]


def _tools(conversation: chat_pb2.Conversation) -> Json:
    if not conversation.tools:
        return {}
    encoded: Json = {"tools": [_tool(tool) for tool in conversation.tools]}
    choice = conversation.tool_choice
    if choice.mode in _CHOICES or choice.disable_parallel:
        chosen: Json = {"type": _CHOICES.get(choice.mode, "auto")}
        if choice.mode == chat_pb2.ToolChoice.MODE_NAMED:
            chosen["name"] = choice.name
        if choice.disable_parallel and choice.mode != chat_pb2.ToolChoice.MODE_NONE:
            chosen["disable_parallel_tool_use"] = True
        encoded["tool_choice"] = chosen
    return encoded


def _tool(tool: chat_pb2.Tool) -> Json:
    encoded: Json = {"name": tool.name}
    if tool.description:
        encoded["description"] = tool.description
    encoded["input_schema"] = schema(tool.parameters_json) if tool.parameters_json else NO_ARGUMENTS
    if tool.strict:
        encoded["strict"] = True
    return encoded


def _output(form: chat_pb2.ResponseFormat, lost: Lost) -> Json:
    if form.kind == chat_pb2.ResponseFormat.KIND_JSON_OBJECT:
        lost.feature("conversation.response_format")  # an object of any shape cannot be asked for
    if form.kind != chat_pb2.ResponseFormat.KIND_JSON_SCHEMA:
        return {}
    return {"format": {"type": "json_schema", "schema": schema(form.schema_json)}}


def _sampling(sampling: chat_pb2.Sampling, target: Target, lost: Lost, *, thinks: bool) -> Json:
    """With thinking on, and by some models always, draws cannot be changed."""
    encoded: Json = {}
    lost.settings(sampling, "seed")
    if thinks or "no_sampling" in target.quirks:
        lost.settings(sampling, "temperature", "top_p")
    else:
        if sampling.HasField("temperature"):
            encoded["temperature"] = min(sampling.temperature, 1.0)
            if sampling.temperature > 1:
                lost.settings(sampling, "temperature")  # there is no more than 1
        if sampling.HasField("top_p"):
            encoded["top_p"] = sampling.top_p
    if sampling.stop:
        encoded["stop_sequences"] = list(sampling.stop)
    return encoded
