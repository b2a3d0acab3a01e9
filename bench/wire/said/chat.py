"""A recorded request of Chat Completions, and of the formats that are like it, in the words of the contract."""

from __future__ import annotations

import json
from collections.abc import Iterator

from bench.wire.said import parts as p
from bench.wire.said.parts import Json
from omnisphere.chat.v1 import chat_pb2

_SETTINGS = {"temperature": "temperature", "top_p": "top_p", "seed": "seed"}


def conversation(body: Json, model: str) -> chat_pb2.Conversation:
    """All that the contract can say of it."""
    said = chat_pb2.Conversation(messages=[_message(message, model) for message in body["messages"]])
    for each in body.get("tools") or ():
        function = each["function"]
        said.tools.append(
            p.tool(
                function["name"],
                function.get("description"),
                function.get("parameters"),
                strict=bool(function.get("strict")),
            )
        )
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        said.tool_choice.mode, said.tool_choice.name = chat_pb2.ToolChoice.MODE_NAMED, choice["function"]["name"]
    elif choice and said.tools:
        said.tool_choice.mode = p.CHOICES[choice.lower()]
    if body.get("parallel_tool_calls") is False:
        said.tool_choice.disable_parallel = True
    said.sampling.CopyFrom(p.sampling(body, _SETTINGS))
    limit = body.get("max_completion_tokens") or body.get("max_tokens")
    if limit:
        said.sampling.max_output_tokens = limit
    if isinstance(body.get("stop"), list):
        said.sampling.stop.extend(body["stop"])
    if body.get("reasoning_effort") in p.EFFORTS:
        said.sampling.reasoning_effort = p.EFFORTS[body["reasoning_effort"]]
    form = body.get("response_format") or {}
    if form.get("type") == "json_object":
        said.response_format.kind = chat_pb2.ResponseFormat.KIND_JSON_OBJECT
    elif form.get("type") == "json_schema":
        named = form["json_schema"]
        said.response_format.CopyFrom(
            p.schema_format(named.get("name", ""), named["schema"], strict=bool(named.get("strict")))
        )
    return said


def _message(message: Json, model: str) -> chat_pb2.Message:
    role = p.ROLES[message["role"]]
    content = list(_content(message.get("content")))
    if role == chat_pb2.ROLE_TOOL:
        return p.message(role, [p.result(message["tool_call_id"], content)])
    found: list[chat_pb2.Part] = []
    if role == chat_pb2.ROLE_ASSISTANT:
        found.extend(_thoughts(message, model))
    found.extend(part for part in content if not part.HasField("text") or part.text)
    calls = [(call["id"], call["function"]) for call in message.get("tool_calls") or ()]
    found.extend(p.call(call_id, function["name"], function["arguments"]) for call_id, function in calls)
    return p.message(role, found or [p.text("")])


def _thoughts(message: Json, model: str) -> Iterator[chat_pb2.Part]:
    details = message.get("reasoning_details") or ()
    for detail in details:
        words = detail.get("text") or detail.get("summary") or ""
        proof = {name: value for name, value in detail.items() if name not in ("text", "summary")}
        yield p.signed(p.thoughts(words, redacted=not words), json.dumps(proof), model)
    said = message.get("reasoning_content") or message.get("reasoning")
    if said and not details:
        yield p.thoughts(said)


def _content(content: object) -> Iterator[chat_pb2.Part]:
    if isinstance(content, str):
        yield p.text(content)
    for piece in content if isinstance(content, list) else ():
        match piece["type"]:
            case "text":
                yield p.text(piece["text"])
            case "image_url":
                url = piece["image_url"]
                yield p.image(url if isinstance(url, str) else url["url"])
            case "file":
                yield p.document(piece["file"]["file_data"], piece["file"].get("filename", ""))
            case "thinking":
                yield p.thoughts("".join(thought["text"] for thought in piece["thinking"]))
            case kind:
                raise ValueError(kind)
