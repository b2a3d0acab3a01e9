"""Answers and errors as the JSON of the Chat Completions format."""

from __future__ import annotations

import time

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.edge.dialect import decision_json
from services.router.edge.errors import Problem
from services.router.edge.values import Json

FINISH = {
    chat_pb2.FINISH_REASON_STOP: "stop",
    chat_pb2.FINISH_REASON_LENGTH: "length",
    chat_pb2.FINISH_REASON_TOOL_CALLS: "tool_calls",
    chat_pb2.FINISH_REASON_CONTENT_FILTER: "content_filter",
}


def completion(response: pb.CompleteResponse, request_id: str, *, decision: bool) -> Json:
    """A chat.completion. The format has no room for signatures, hidden thoughts and pictures of an answer."""
    body: Json = {
        "id": f"chatcmpl-{request_id}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": response.decision.model,
        "choices": [
            {
                "index": 0,
                "message": _message(response.message),
                "logprobs": None,
                "finish_reason": FINISH.get(response.finish_reason, "stop"),
            }
        ],
        "usage": usage(response.usage),
    }
    if decision:
        body["omnisphere"] = decision_json(response.decision)
    return body


def usage(used: chat_pb2.Usage) -> Json:
    """Disjoint classes to the totals of the format."""
    prompt = used.input_uncached_tokens + used.input_cache_read_tokens + used.input_cache_write_tokens
    completion_tokens = used.output_tokens + used.reasoning_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt + completion_tokens,
        "prompt_tokens_details": {
            "cached_tokens": used.input_cache_read_tokens,
            "cache_write_tokens": used.input_cache_write_tokens,
        },
        "completion_tokens_details": {"reasoning_tokens": used.reasoning_tokens},
    }


def error(problem: Problem) -> Json:
    """{"error": {...}}"""
    said = {
        "message": _error_message(problem),
        "type": problem.openai_type,
        "param": problem.param or None,
        "code": problem.code or None,
    }
    return {"error": said}


def _error_message(problem: Problem) -> str:
    """Libraries tell a conversation that is too long by these words, not by the code."""
    if problem.overflow is None:
        return problem.message
    tokens, window = problem.overflow
    known = f"{window} tokens, and the conversation has {tokens}" if tokens else f"exceeded: {problem.message}"
    return f"This model's maximum context length is {known}"


def _message(message: chat_pb2.Message) -> Json:
    texts: list[str] = []
    thoughts: list[str] = []
    refusals: list[str] = []
    calls: list[Json] = []
    for part in message.parts:
        match part.WhichOneof("content"):
            case "text":
                texts.append(part.text)
            case "reasoning":
                thoughts.append(part.reasoning.text)
            case "refusal":
                refusals.append(part.refusal)
            case "tool_call":
                call = part.tool_call
                function = {"name": call.name, "arguments": call.arguments_json}
                calls.append({"id": call.id, "type": "function", "function": function})
    written: Json = {
        "role": "assistant",
        "content": "".join(texts) if texts or not (calls or refusals) else None,
        "refusal": "".join(refusals) or None,
    }
    if any(thoughts):
        written["reasoning_content"] = "".join(thoughts)
    if calls:
        written["tool_calls"] = calls
    return written
