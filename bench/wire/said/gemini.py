"""A recorded request of generateContent, in either spelling, in the words of the contract."""

from __future__ import annotations

import json
import re

from bench.wire.said import parts as p
from bench.wire.said.parts import Json
from omnisphere.chat.v1 import chat_pb2

_HUMP = re.compile(r"_([a-z])")
_SETTINGS = {
    "temperature": "temperature",
    "top_p": "topP",
    "max_output_tokens": "maxOutputTokens",
    "seed": "seed",
}
# Below these stands what callers wrote: their spelling is theirs.
_THEIRS = ("args", "response", "parametersJsonSchema", "parameters", "responseJsonSchema", "responseSchema")
_MODES = {
    "AUTO": chat_pb2.ToolChoice.MODE_AUTO,
    "VALIDATED": chat_pb2.ToolChoice.MODE_AUTO,
    "ANY": chat_pb2.ToolChoice.MODE_REQUIRED,
    "NONE": chat_pb2.ToolChoice.MODE_NONE,
}


def conversation(body: Json, model: str) -> chat_pb2.Conversation:
    """All that the contract can say of it. A call without an id gets that of its place."""
    body = _camel(body)
    said, calls = chat_pb2.Conversation(), _Calls()
    if body.get("systemInstruction"):
        pieces = [p.text(part["text"]) for part in body["systemInstruction"]["parts"]]
        said.messages.append(p.message(chat_pb2.ROLE_SYSTEM, pieces))
    for content in body["contents"]:
        found = [_part(part, calls, model) for part in content["parts"]]
        results = [part for part in found if part.HasField("tool_result")]
        others = [part for part in found if not part.HasField("tool_result")]
        if results:
            said.messages.append(p.message(chat_pb2.ROLE_TOOL, results))
        if others:
            said.messages.append(p.message(p.ROLES[content.get("role") or "user"], others))
    for each in (declared for tools in body.get("tools") or () for declared in tools["functionDeclarations"]):
        schema = each.get("parametersJsonSchema") or each.get("parameters")
        said.tools.append(p.tool(each["name"], each.get("description"), schema))
    choice = (body.get("toolConfig") or {}).get("functionCallingConfig") or {}
    if choice and said.tools:
        said.tool_choice.mode = _MODES[choice.get("mode", "AUTO")]
    config = body.get("generationConfig") or {}
    said.sampling.CopyFrom(p.sampling(config, _SETTINGS))
    said.sampling.stop.extend(config.get("stopSequences") or ())
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if schema:
        said.response_format.CopyFrom(p.schema_format("answer", schema, strict=True))
    elif config.get("responseMimeType") == "application/json":
        said.response_format.kind = chat_pb2.ResponseFormat.KIND_JSON_OBJECT
    return said


class _Calls:
    """Ids of calls that have none: results follow in the order of the calls."""

    def __init__(self) -> None:
        self._made = 0
        self._waiting: list[tuple[str, str]] = []

    def called(self, name: str, call_id: str) -> str:
        self._made += 1
        made = call_id or f"call_{self._made}"
        self._waiting.append((name, made))
        return made

    def answered(self, name: str, call_id: str) -> str:
        for place, (waiting, made) in enumerate(self._waiting):
            if waiting == name and call_id in ("", made):
                del self._waiting[place]
                return made
        raise ValueError(name)


def _part(part: Json, calls: _Calls, model: str) -> chat_pb2.Part:
    proof = part.get("thoughtSignature") or ""
    if "functionCall" in part:
        call = part["functionCall"]
        made = calls.called(call["name"], call.get("id") or "")
        return p.signed(p.call(made, call["name"], call.get("args") or {}), proof, model)
    if "functionResponse" in part:
        said = part["functionResponse"]
        answered = calls.answered(said["name"], said.get("id") or "")
        return p.result(answered, [p.text(json.dumps(said["response"]))], name=said["name"])
    if "inlineData" in part:
        data = part["inlineData"]
        url = f"data:{data['mimeType']};base64,{data['data']}"
        return p.image(url) if data["mimeType"].startswith("image/") else p.document(url)
    if part.get("thought"):
        return p.signed(p.thoughts(part.get("text") or ""), proof, model)
    return p.signed(p.text(part["text"]), proof, model)


def _camel(value: object, *, within: str = "") -> Json:
    """Keys in the spelling of the answers."""
    changed = _spelled(value, within)
    if not isinstance(changed, dict):
        raise TypeError(type(changed))
    return changed


def _spelled(value: object, within: str) -> object:
    if within in _THEIRS:
        return value
    if isinstance(value, list):
        return [_spelled(each, "") for each in value]
    if isinstance(value, dict):
        names = {name: _HUMP.sub(lambda match: match.group(1).upper(), name) for name in value}
        return {names[name]: _spelled(each, names[name]) for name, each in value.items()}
    return value
