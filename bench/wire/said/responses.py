"""A recorded request of the Responses API in the words of the contract."""

from __future__ import annotations

import json
from collections.abc import Iterator

from bench.wire.said import parts as p
from bench.wire.said.parts import Json
from omnisphere.chat.v1 import chat_pb2

_SETTINGS = {"temperature": "temperature", "top_p": "top_p", "max_output_tokens": "max_output_tokens"}
_PROOF = ("id", "encrypted_content")


def conversation(body: Json, model: str) -> chat_pb2.Conversation:
    """All that the contract can say of it."""
    said = chat_pb2.Conversation()
    if body.get("instructions"):
        said.messages.append(p.message(chat_pb2.ROLE_SYSTEM, [p.text(body["instructions"])]))
    items = body["input"]
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
        _add(said, item, model)
    for each in body.get("tools") or ():
        if each["type"] != "function":
            raise ValueError(each["type"])
        said.tools.append(
            p.tool(each["name"], each.get("description"), each.get("parameters"), strict=bool(each.get("strict")))
        )
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        said.tool_choice.mode, said.tool_choice.name = chat_pb2.ToolChoice.MODE_NAMED, choice["name"]
    elif choice and said.tools:
        said.tool_choice.mode = p.CHOICES[choice]
    said.sampling.CopyFrom(p.sampling(body, _SETTINGS))
    effort = (body.get("reasoning") or {}).get("effort")
    if effort in p.EFFORTS:
        said.sampling.reasoning_effort = p.EFFORTS[effort]
    form = (body.get("text") or {}).get("format") or {}
    if form.get("type") == "json_schema":
        said.response_format.CopyFrom(p.schema_format(form["name"], form["schema"], strict=bool(form.get("strict"))))
    elif form.get("type") == "json_object":
        said.response_format.kind = chat_pb2.ResponseFormat.KIND_JSON_OBJECT
    return said


def _add(said: chat_pb2.Conversation, item: Json, model: str) -> None:
    """An item is a turn, or a part of the turn before it."""
    match item.get("type", "message"):
        case "message":
            role = p.ROLES[item["role"]]
            found = list(_content(item["content"]))
        case "function_call":
            role = chat_pb2.ROLE_ASSISTANT
            found = [p.call(item["call_id"], item["name"], item["arguments"])]
        case "function_call_output":
            role = chat_pb2.ROLE_TOOL
            found = [p.result(item["call_id"], _content(item["output"]))]
        case "reasoning":
            role = chat_pb2.ROLE_ASSISTANT
            words = "".join(piece["text"] for piece in item.get("summary") or ())
            proof = {name: item[name] for name in _PROOF if item.get(name)}
            found = [p.signed(p.thoughts(words), json.dumps(proof) if "encrypted_content" in proof else "", model)]
        case kind:
            raise ValueError(kind)
    if said.messages and said.messages[-1].role == role and role in (chat_pb2.ROLE_ASSISTANT, chat_pb2.ROLE_TOOL):
        said.messages[-1].parts.extend(found)
    else:
        said.messages.append(p.message(role, found))


def _content(content: object) -> Iterator[chat_pb2.Part]:
    if isinstance(content, str):
        yield p.text(content)
    for piece in content if isinstance(content, list) else ():
        match piece["type"]:
            case "input_text" | "output_text":
                yield p.text(piece["text"])
            case "input_image":
                yield p.image(piece["image_url"])
            case "input_file":
                yield p.document(piece.get("file_data") or piece["file_url"], piece.get("filename", ""))
            case kind:
                raise ValueError(kind)
