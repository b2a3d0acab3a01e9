"""What the providers service answered, as a row of the bench."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from omnisphere.chat.v1 import chat_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as pb

Row = dict[str, Any]
_CLASSES = {
    chat_pb2.FINISH_REASON_STOP: "stop",
    chat_pb2.FINISH_REASON_LENGTH: "length",
    chat_pb2.FINISH_REASON_TOOL_CALLS: "tool_calls",
    chat_pb2.FINISH_REASON_CONTENT_FILTER: "content_filter",
    chat_pb2.FINISH_REASON_ERROR: "error",
}
# Where a signature is several fields, the one that nobody but the provider can read.
_PROOFS = ("encrypted_content", "signature", "data")


def empty(record_id: str) -> Row:
    """A row of which nothing is known yet."""
    return {
        "id": record_id,
        "text": "",
        "reasoning_text": "",
        "refusal": None,
        "tool_calls": [],
        "finish_reason": None,
        "finish_class": None,
        "usage": None,
        "signatures": [],
        "model": None,
        "complete": False,
        "error": None,
    }


def said_of(message: chat_pb2.Message) -> Row:
    """The answer's own fields."""
    calls = [part.tool_call for part in message.parts if part.HasField("tool_call")]
    return {
        "text": "".join(part.text for part in message.parts),
        "reasoning_text": "".join(part.reasoning.text for part in message.parts),
        "refusal": "".join(part.refusal for part in message.parts) or None,
        "tool_calls": [{"id": call.id, "name": call.name, "arguments": _arguments(call)} for call in calls],
        "signatures": [_hash(part.signature.value) for part in message.parts if part.HasField("signature")],
    }


def ended(end: pb.GenerationEnd) -> Row:
    """How it ended."""
    attempt = end.attempts[-1]
    return {
        "finish_reason": attempt.provider_finish_reason or None,
        "finish_class": _CLASSES.get(end.finish_reason, "other"),
        "usage": usage(attempt.usage),
        "model": attempt.upstream_model or None,
        "complete": True,
    }


def vectors(response: pb.EmbedResponse) -> Row:
    """What is told of vectors."""
    first = response.embeddings[0].values
    return {
        "vectors": {"count": len(response.embeddings), "dim": len(first), "first3": list(first[:3])},
        "usage": usage(response.attempts[-1].usage),
        "model": response.attempts[-1].upstream_model or None,
        "complete": True,
    }


def failed(error: grpc.aio.AioRpcError) -> Row:
    """Why there is no answer."""
    info, retry, attempts = (
        error_details_pb2.ErrorInfo(),
        error_details_pb2.RetryInfo(),
        attempt_pb2.AttemptsFailed(),
    )
    status = rpc_status.from_call(error)
    has_retry = False
    for packed in status.details if status is not None else ():
        kinds: tuple[Message, ...] = (info, retry, attempts)
        for kind in kinds:
            if packed.Is(kind.DESCRIPTOR):
                packed.Unpack(kind)
                has_retry = has_retry or kind is retry
    tried = attempts.attempts[-1] if attempts.attempts else attempt_pb2.Attempt()
    return {
        "model": tried.upstream_model or None,
        "error": {
            "code": error.code().name,
            "reason": info.reason or None,
            "retry_after": retry.retry_delay.ToTimedelta().total_seconds() if has_retry else None,
            "class": info.metadata.get("provider_type") or f"http_{tried.http_status}",
        },
    }


def usage(classes: chat_pb2.Usage) -> Row | None:
    """Totals, as the provider reported them; None: it reported none."""
    if classes.estimated:
        return None
    cached, written = classes.input_cache_read_tokens, classes.input_cache_write_tokens
    return {
        "input_tokens": classes.input_uncached_tokens + cached + written,
        "output_tokens": classes.output_tokens + classes.reasoning_tokens,
        "cached_input_tokens": cached + classes.excess_cache_read_tokens,
        "cache_write_tokens": written,
        "reasoning_tokens": classes.reasoning_tokens,
    }


def _arguments(call: chat_pb2.ToolCall) -> Any:  # noqa: ANN401 - whatever the model wrote
    return call.arguments_json if call.arguments_invalid else json.loads(call.arguments_json)


def _hash(value: str) -> str:
    """The first 16 digits of what must go back unchanged."""
    try:
        fields = json.loads(value)
    except ValueError:
        fields = None
    if isinstance(fields, dict):
        value = next((fields[name] for name in _PROOFS if fields.get(name)), value)
    return hashlib.sha256(value.encode()).hexdigest()[:16]
