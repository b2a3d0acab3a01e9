"""A conversation to the JSON of a generateContent request."""

from __future__ import annotations

from urllib.parse import quote

from omnisphere.chat.v1 import chat_pb2
from services.chassis.errors import InvalidRequest
from services.providers.adapters import Encoded, Target
from services.providers.adapters.gemini_generate.parts import Calls, piece, results
from services.providers.adapters.json_text import Json, dumped
from services.providers.adapters.lost import Lost
from services.providers.adapters.options import FOREIGN, with_vendor_options, without
from services.providers.adapters.turns import EFFORTS, INSTRUCTIONS, drawn, instructions, messages, parts, schema

_MODES = {
    chat_pb2.ToolChoice.MODE_AUTO: "AUTO",
    chat_pb2.ToolChoice.MODE_NONE: "NONE",
    chat_pb2.ToolChoice.MODE_REQUIRED: "ANY",
    chat_pb2.ToolChoice.MODE_NAMED: "ANY",
}
_BUDGETS = {
    chat_pb2.REASONING_EFFORT_NONE: 0,
    chat_pb2.REASONING_EFFORT_LOW: 1_024,
    chat_pb2.REASONING_EFFORT_MEDIUM: 8_192,
    chat_pb2.REASONING_EFFORT_HIGH: 24_576,
}
_SETTINGS = {"temperature": "temperature", "top_p": "topP", "max_output_tokens": "maxOutputTokens", "seed": "seed"}
# Fields of the body that the contract speaks for, set or not, in both spellings that the API knows; of generationConfig
# these alone.
_CONFIG = ("stopSequences", "responseMimeType", "responseSchema", "responseJsonSchema", "candidateCount")
_CARRIED = {
    *("contents", "systemInstruction", "system_instruction", "tools", "toolConfig", "tool_config", "model"),
    *(f"generationConfig.{name}" for name in (*_CONFIG, *_SETTINGS, *_SETTINGS.values())),
    "generation_config",
}


def written(conversation: chat_pb2.Conversation, target: Target, *, stream: bool) -> Encoded:
    """The request. Raises InvalidRequest for vendor options that the contract carries itself."""
    lost = Lost()
    body: Json = {}
    if said := instructions(conversation, lost):
        body["systemInstruction"] = {"parts": [{"text": part.text} for part in said]}
    body["contents"] = _contents(conversation, target, lost)
    body |= _tools(conversation, lost)
    config = _sampling(conversation.sampling, target, lost) | _response_format(conversation.response_format)
    if config:
        body["generationConfig"] = config
    options = without(FOREIGN, conversation.vendor_options_json, lost)
    body = with_vendor_options(body, options, _CARRIED)
    verb = "streamGenerateContent?alt=sse" if stream else "generateContent"
    path = f"/models/{quote(target.served_name.removeprefix('models/'), safe='@')}:{verb}"
    return Encoded(path, dumped(body), tuple(lost.degradations))


def _contents(conversation: chat_pb2.Conversation, target: Target, lost: Lost) -> list[Json]:
    """User and model in turn; results of calls are the user's, in the turn after the calls."""
    calls, out = Calls(target), list[Json]()
    for path, message in messages(conversation):
        if message.role in INSTRUCTIONS:
            continue
        if message.name:
            lost.feature(f"{path}.name")
        if message.role == chat_pb2.ROLE_TOOL:
            pieces = results(path, message, calls, lost)
        else:
            calls.turn(message)
            found = [piece(part, calls, target, lost, inner) for inner, part in parts(path, message)]
            pieces = [each for each in found if each is not None]
        role = "model" if message.role == chat_pb2.ROLE_ASSISTANT else "user"
        if out and out[-1]["role"] == role:
            out[-1]["parts"].extend(pieces)
        elif pieces:
            out.append({"role": role, "parts": pieces})
    if not out:
        raise InvalidRequest(field="conversation.messages", problem="have nothing that this model could be sent")
    return out


def _tools(conversation: chat_pb2.Conversation, lost: Lost) -> Json:
    if not conversation.tools:
        return {}
    declared = []
    for at, tool in enumerate(conversation.tools):
        function: Json = {"name": tool.name}
        if tool.description:
            function["description"] = tool.description
        if tool.parameters_json:
            function["parametersJsonSchema"] = schema(tool.parameters_json)
        if tool.strict:
            lost.feature(f"conversation.tools[{at}].strict")
        declared.append(function)
    encoded: Json = {"tools": [{"functionDeclarations": declared}]}
    choice = conversation.tool_choice
    if choice.disable_parallel:
        lost.feature("conversation.tool_choice.disable_parallel")
    if choice.mode in _MODES:
        mode: Json = {"mode": _MODES[choice.mode]}
        if choice.mode == chat_pb2.ToolChoice.MODE_NAMED:
            mode["allowedFunctionNames"] = [choice.name]
        encoded["toolConfig"] = {"functionCallingConfig": mode}
    return encoded


def _response_format(form: chat_pb2.ResponseFormat) -> Json:
    if form.kind == chat_pb2.ResponseFormat.KIND_JSON_OBJECT:
        return {"responseMimeType": "application/json"}
    if form.kind != chat_pb2.ResponseFormat.KIND_JSON_SCHEMA:
        return {}
    return {"responseMimeType": "application/json", "responseJsonSchema": schema(form.schema_json)}


def _sampling(sampling: chat_pb2.Sampling, target: Target, lost: Lost) -> Json:
    encoded = drawn(sampling, _SETTINGS)
    if sampling.stop:
        encoded["stopSequences"] = list(sampling.stop)
    effort = sampling.reasoning_effort
    if effort not in _BUDGETS:
        return encoded
    if "no_reasoning_effort" in target.quirks:
        lost.settings(sampling, "reasoning_effort")
        return encoded
    none = effort == chat_pb2.REASONING_EFFORT_NONE
    if "thinking_level" in target.quirks:
        thinking: Json = {"thinkingLevel": "minimal" if none else EFFORTS[effort]}
    else:
        thinking = {"thinkingBudget": _BUDGETS[effort]}
    return encoded | {"thinkingConfig": thinking if none else thinking | {"includeThoughts": True}}
