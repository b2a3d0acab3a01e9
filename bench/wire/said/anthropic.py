"""A recorded request of Anthropic's Messages in the words of the contract."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from bench.wire.said import parts as p
from bench.wire.said.parts import Json
from omnisphere.chat.v1 import chat_pb2

_SETTINGS = {"temperature": "temperature", "top_p": "top_p", "max_output_tokens": "max_tokens"}


def conversation(body: Json, model: str) -> chat_pb2.Conversation:
    """All that the contract can say of it."""
    said = chat_pb2.Conversation()
    if body.get("system"):
        said.messages.append(p.message(chat_pb2.ROLE_SYSTEM, _content(body["system"], model)))
    for turn in body["messages"]:
        found = list(_content(turn["content"], model))
        results = [part for part in found if part.HasField("tool_result")]
        others = [part for part in found if not part.HasField("tool_result")]
        if results:
            said.messages.append(p.message(chat_pb2.ROLE_TOOL, results))
        if others:
            said.messages.append(p.message(p.ROLES[turn["role"]], others))
    for each in body.get("tools") or ():
        said.tools.append(
            p.tool(each["name"], each.get("description"), each["input_schema"], strict=bool(each.get("strict")))
        )
    choice = body.get("tool_choice") or {}
    if choice.get("type") == "tool":
        said.tool_choice.mode, said.tool_choice.name = chat_pb2.ToolChoice.MODE_NAMED, choice["name"]
    elif choice and said.tools:
        said.tool_choice.mode = p.CHOICES[choice["type"]]
    said.tool_choice.disable_parallel = bool(choice.get("disable_parallel_tool_use"))
    said.sampling.CopyFrom(p.sampling(body, _SETTINGS))
    said.sampling.stop.extend(body.get("stop_sequences") or ())
    if (body.get("thinking") or {}).get("type") in ("enabled", "adaptive"):
        said.sampling.reasoning_effort = chat_pb2.REASONING_EFFORT_LOW
    form = (body.get("output_config") or {}).get("format") or body.get("output_format") or {}
    if form.get("type") == "json_schema":
        said.response_format.CopyFrom(p.schema_format("answer", form["schema"], strict=True))
    return said


def _content(content: object, model: str) -> Iterator[chat_pb2.Part]:
    if isinstance(content, str):
        yield p.text(content)
    for block in content if isinstance(content, list) else ():
        part = _part(block, model)
        part.cache_breakpoint = bool(block.get("cache_control"))
        yield part


def _part(block: Json, model: str) -> chat_pb2.Part:
    match block["type"]:
        case "text":
            return p.text(block["text"])
        case "thinking":
            return p.signed(p.thoughts(block["thinking"]), block["signature"], model)
        case "redacted_thinking":
            return p.signed(p.thoughts("", redacted=True), block["data"], model)
        case "tool_use":
            return p.call(block["id"], block["name"], block["input"])
        case "tool_result":
            return p.result(
                block["tool_use_id"], _content(block["content"], model), is_error=bool(block.get("is_error"))
            )
        case "image":
            return p.image(_url(block["source"]))
        case "document":
            return p.document(_url(block["source"]), block.get("title") or "")
        case kind:
            raise ValueError(kind)


def _url(source: Json) -> str:
    if source["type"] == "url":
        return str(source["url"])
    data = source["data"]
    if source["type"] == "text":
        data = base64.b64encode(data.encode()).decode()
    return f"data:{source['media_type']};base64,{data}"
