"""What providers demand of a request, told from the bodies alone: each rule yields what breaks it.

They were found in recorded requests that were answered, and in recorded refusals of those that were not.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

Body = dict[str, Any]


def openai_chat(body: Body) -> Iterator[str]:
    """Each call is answered by one tool message right after its turn."""
    if body.get("stream") and body.get("stream_options") != {"include_usage": True}:
        yield "a stream without its usage"
    waiting: list[str] = []
    for message in body["messages"]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in waiting:
                yield f"a result without its call: {message['tool_call_id']}"
            else:
                waiting.remove(message["tool_call_id"])
            if not isinstance(message["content"], str):
                yield "a result that is no text"
            continue
        if waiting:
            yield f"a call without its result: {waiting}"
        waiting = [call["id"] for call in message.get("tool_calls") or ()]
        for call in message.get("tool_calls") or ():
            if call["type"] != "function" or not isinstance(call["function"]["arguments"], str):
                yield "a call that is no function with a text of arguments"
    if waiting:
        yield f"a call without its result: {waiting}"


def cohere_chat(body: Body) -> Iterator[str]:
    """As Chat Completions, but for the stream's options."""
    yield from openai_chat({**body, "stream": False})


def ollama_chat(body: Body) -> Iterator[str]:
    """Arguments are objects; results name their tool."""
    for message in body["messages"]:
        if not isinstance(message["content"], str):
            yield "a content that is no text"
        for call in message.get("tool_calls") or ():
            if not isinstance(call["function"]["arguments"], dict):
                yield "arguments that are no object"
        if message["role"] == "tool" and not message["tool_name"]:
            yield "a result without its tool"


def openai_responses(body: Body) -> Iterator[str]:
    """Every call has its output, every reasoning item the item that it belongs to; nothing is stored."""
    if body.get("store") is not False or body.get("include") != ["reasoning.encrypted_content"]:
        yield "thoughts that could not be sent again"
    items = body["input"]
    called = [item["call_id"] for item in items if item.get("type") == "function_call"]
    answered = [item["call_id"] for item in items if item.get("type") == "function_call_output"]
    if sorted(called) != sorted(answered):
        yield f"calls {called} and outputs {answered}"
    for item, following in zip(items, [*items[1:], {}], strict=True):
        after = following.get("type"), following.get("role")
        if item.get("type") == "reasoning":
            if after[0] not in ("function_call", "reasoning", "message") or after[1] == "user":
                yield f"a reasoning item before {after}"
            if not item["encrypted_content"] or not isinstance(item["summary"], list):
                yield "a reasoning item without its content"
        if item.get("type") == "function_call" and not isinstance(item["arguments"], str):
            yield "arguments that are no text"
    for tool in body.get("tools") or ():
        if tool["type"] != "function" or "name" not in tool:
            yield "a tool that is not flat"


def anthropic_messages(body: Body) -> Iterator[str]:
    """User and assistant in turn; all results of a turn's calls first in the next one; thinking within its limits."""
    if not {"model", "max_tokens", "messages"} <= body.keys():
        yield "a field that is always there is missing"
    turns = body["messages"]
    ids = [block["id"] for turn in turns for block in turn["content"] if block["type"] == "tool_use"]
    if len(set(ids)) < len(ids):
        yield "an id that comes again"
    if any(turn["role"] == following["role"] for turn, following in pairwise(turns)):
        yield "two turns of one role"
    for turn, following in zip(turns, [*turns[1:], {"role": "", "content": []}], strict=True):
        calls = [block["id"] for block in turn["content"] if block["type"] == "tool_use"]
        results = [block.get("tool_use_id") for block in following["content"][: len(calls)]]
        if sorted(calls) != sorted(result or "" for result in results):
            yield f"calls {calls} and results {results}"
        more = [block for block in following["content"][len(calls) :] if block["type"] == "tool_result"]
        if more:
            yield "a result that is not first in its turn"
        if not turn["content"] or turn["role"] not in ("user", "assistant"):
            yield "a turn that is none"
        if any(block["type"] == "text" and not block["text"].strip() for block in turn["content"]):
            yield "a text without a letter"
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "enabled" and not 1024 <= thinking["budget_tokens"] < body["max_tokens"]:
        yield "a budget that is too small, or not below the limit"
    if thinking and {"temperature", "top_p"} & body.keys():
        yield "thinking with draws that are changed"


def gemini_generate(body: Body) -> Iterator[str]:
    """User and model in turn; results in the turn after the calls, with the same names in the same order."""
    contents = body["contents"]
    if any(content["role"] not in ("user", "model") for content in contents):
        yield "a role that is none"
    if any(one["role"] == other["role"] for one, other in pairwise(contents)):
        yield "two turns of one role"
    for content, following in zip(contents, [*contents[1:], {"parts": []}], strict=True):
        calls = [part["functionCall"] for part in content["parts"] if "functionCall" in part]
        results = [part["functionResponse"] for part in following["parts"] if "functionResponse" in part]
        if [call["name"] for call in calls] != [result["name"] for result in results]:
            yield f"calls {calls} and results {results}"
        if [call.get("id") for call in calls] != [result.get("id") for result in results]:
            yield "ids that differ"
        if not all(isinstance(call["args"], dict) for call in calls):
            yield "arguments that are no object"
        if not all(isinstance(result["response"], dict) for result in results):
            yield "a response that is no object"
        for part in content["parts"]:
            if "thoughtSignature" in part and not part.keys() & {"text", "functionCall", "inlineData"}:
                yield "a signature without its part"


RULES = {
    "openai_chat": openai_chat,
    "openai_responses": openai_responses,
    "anthropic_messages": anthropic_messages,
    "gemini_generate": gemini_generate,
    "cohere_chat": cohere_chat,
    "ollama_chat": ollama_chat,
}
