"""Answers and errors as the JSON of the Messages format."""

from __future__ import annotations

import orjson

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.edge.anthropic_messages import signatures
from services.router.edge.dialect import decision_json
from services.router.edge.errors import Problem
from services.router.edge.values import Json

_STOP = {
    chat_pb2.FINISH_REASON_STOP: "end_turn",
    chat_pb2.FINISH_REASON_LENGTH: "max_tokens",
    chat_pb2.FINISH_REASON_TOOL_CALLS: "tool_use",
    chat_pb2.FINISH_REASON_CONTENT_FILTER: "refusal",
}


def message(response: pb.CompleteResponse, request_id: str, *, decision: bool) -> Json:
    """A message."""
    parts = response.message.parts
    body: Json = {
        "id": f"msg_{request_id}",
        "type": "message",
        "role": "assistant",
        "model": response.decision.model,
        "content": [block for part in parts if (block := _block(part)) is not None],
        "stop_reason": stop_reason(response.finish_reason, refused=any(part.HasField("refusal") for part in parts)),
        "stop_sequence": None,
        "usage": usage(response.usage),
    }
    if decision:
        body["omnisphere"] = decision_json(response.decision)
    return body


def stop_reason(reason: chat_pb2.FinishReason.ValueType, *, refused: bool) -> str:
    """The format's word."""
    return "refusal" if refused else _STOP.get(reason, "end_turn")


def usage(used: chat_pb2.Usage) -> Json:
    """The format counts in the same disjoint classes; thoughts are output, and named apart."""
    return {
        "input_tokens": used.input_uncached_tokens,
        "cache_creation_input_tokens": used.input_cache_write_tokens,
        "cache_read_input_tokens": used.input_cache_read_tokens,
        "output_tokens": used.output_tokens + used.reasoning_tokens,
        "output_tokens_details": {"thinking_tokens": used.reasoning_tokens},
    }


def error(problem: Problem) -> Json:
    """{"type": "error", "error": {...}}"""
    said: Json = {"type": problem.anthropic_type, "message": _message(problem)}
    if problem.details is not None:
        said["details"] = problem.details
    return {"type": "error", "error": said}


def redacted(part: chat_pb2.Part) -> Json:
    """The block of thoughts that the provider hides."""
    return {"type": "redacted_thinking", "data": signatures.written(part.signature)}


def _message(problem: Problem) -> str:
    """Agents compact a conversation when they read these words."""
    if problem.overflow is None:
        return problem.message
    tokens, window = problem.overflow
    return f"prompt is too long: {f'{tokens} tokens > {window} maximum' if tokens else problem.message}"


def _block(part: chat_pb2.Part) -> Json | None:
    """A block; None: the format has none for it."""
    match part.WhichOneof("content"):
        case "text":
            return {"type": "text", "text": part.text}
        case "refusal":
            return {"type": "text", "text": part.refusal}
        case "reasoning" if part.reasoning.redacted:
            return redacted(part)
        case "reasoning":
            return {
                "type": "thinking",
                "thinking": part.reasoning.text,
                "signature": signatures.written(part.signature),
            }
        case "tool_call":
            call = part.tool_call
            return {"type": "tool_use", "id": call.id, "name": call.name, "input": _input(call)}
        case _:
            return None


def _input(call: chat_pb2.ToolCall) -> object:
    """An object, whatever the model wrote.

    https://docs.anthropic.com/en/docs/agents-and-tools/tool-use/fine-grained-tool-streaming#handling-invalid-json
    """
    try:
        value = orjson.loads(call.arguments_json or "{}")
    except orjson.JSONDecodeError:
        value = None
    return (
        orjson.Fragment(call.arguments_json or "{}")
        if isinstance(value, dict)
        else {"INVALID_JSON": call.arguments_json}
    )
