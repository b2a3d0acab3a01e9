"""Answers as the JSON of the Responses format: the response object and its items."""

from __future__ import annotations

import time
from collections.abc import Iterable

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.edge.dialect import Reading, decision_json
from services.router.edge.openai_responses import proofs
from services.router.edge.values import Json

# What became of a response, and of the item that it ended in.
COMPLETED, INCOMPLETE, FAILED, IN_PROGRESS = "completed", "incomplete", "failed", "in_progress"
_INCOMPLETE = {
    chat_pb2.FINISH_REASON_LENGTH: "max_output_tokens",
    chat_pb2.FINISH_REASON_CONTENT_FILTER: "content_filter",
}
# The format has a closed list of codes; of ours these two are in it.
_LIMITED, _BROKEN = "rate_limit_exceeded", "server_error"
_NOT_FINISHED = "the provider did not finish the answer"


def response(reading: Reading, answer: pb.CompleteResponse, request_id: str) -> Json:
    """A response. The format has no room for pictures of an answer."""
    output = _items(answer.message.parts, request_id, status_of(answer.finish_reason))
    head = envelope(reading, request_id, answer.decision.model, int(time.time()))
    return head | ending(answer.finish_reason, output, answer.usage) | decision(reading, answer)


def envelope(reading: Reading, request_id: str, model: str, created: int) -> Json:
    """What a response says from its beginning on."""
    return {"id": f"resp_{request_id}", "object": "response", "created_at": created, "model": model, **reading.echo}


def begun() -> Json:
    """The rest of a response that has just begun."""
    return {"status": IN_PROGRESS, "error": None, "incomplete_details": None, "output": [], "usage": None}


def ending(reason: chat_pb2.FinishReason.ValueType, output: list[Json], used: chat_pb2.Usage) -> Json:
    """The rest of a response that is over."""
    status = status_of(reason)
    return {
        "status": status,
        "error": {"code": _BROKEN, "message": _NOT_FINISHED} if status == FAILED else None,
        "incomplete_details": {"reason": _INCOMPLETE[reason]} if status == INCOMPLETE else None,
        "output": output,
        "usage": usage(used),
    }


def broken_off(output: list[Json], message: str, *, limited: bool) -> Json:
    """The rest of a response that broke off; what it took is not known yet."""
    error = {"code": _LIMITED if limited else _BROKEN, "message": message}
    return {"status": FAILED, "error": error, "incomplete_details": None, "output": output, "usage": None}


def decision(reading: Reading, answer: pb.CompleteResponse | pb.End) -> Json:
    """The Decision, where it is asked for."""
    return {"omnisphere": decision_json(answer.decision)} if reading.wants_decision else {}


def status_of(reason: chat_pb2.FinishReason.ValueType) -> str:
    """The format's word."""
    if reason == chat_pb2.FINISH_REASON_ERROR:
        return FAILED
    return INCOMPLETE if reason in _INCOMPLETE else COMPLETED


def usage(used: chat_pb2.Usage) -> Json:
    """Disjoint classes to the totals of the format."""
    given = used.input_uncached_tokens + used.input_cache_read_tokens + used.input_cache_write_tokens
    made = used.output_tokens + used.reasoning_tokens
    return {
        "input_tokens": given,
        "input_tokens_details": {
            "cached_tokens": used.input_cache_read_tokens,
            "cache_write_tokens": used.input_cache_write_tokens,
        },
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": used.reasoning_tokens},
        "total_tokens": given + made,
    }


def message(item_id: str, content: list[Json], status: str = COMPLETED) -> Json:
    """What the model said."""
    return {"type": "message", "id": item_id, "role": "assistant", "status": status, "content": content}


def text(words: str) -> Json:
    """A piece of a message."""
    return {"type": "output_text", "text": words, "annotations": [], "logprobs": []}


def refusal(words: str) -> Json:
    """A piece of a message in which the model refuses."""
    return {"type": "refusal", "refusal": words}


def call(item_id: str, call_id: str, name: str, arguments: str, status: str = COMPLETED) -> Json:
    """A call that the model asks for."""
    return {
        "type": "function_call",
        "id": item_id,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": status,
    }


def summary(words: str) -> Json:
    """A piece of thoughts. The contract does not tell thoughts and their summary apart; this is what clients show."""
    return {"type": "summary_text", "text": words}


def thoughts(item_id: str, words: str, proof: str | None, status: str = COMPLETED) -> Json:
    """What the model thought. The proof is always with it: nothing is stored, so it cannot come back otherwise."""
    return {
        "type": "reasoning",
        "id": item_id,
        "summary": [summary(words)] if words else [],
        "encrypted_content": proof,
        "status": status,
    }


def proof_of(signature: chat_pb2.Signature, kind: str) -> str | None:
    """The proof as it travels; None: there is none."""
    return proofs.written(signature, kind) if signature.value else None


def _items(parts: Iterable[chat_pb2.Part], request_id: str, status: str) -> list[Json]:
    """Texts and refusals in a row are one message; where the answer is not complete, its last item is not either."""
    items: list[Json] = []
    for part in parts:
        where = f"{request_id}_{len(items)}"
        match part.WhichOneof("content"):
            case "text" | "refusal" as kind:
                piece = text(part.text) if kind == "text" else refusal(part.refusal)
                if items and items[-1]["type"] == "message":
                    items[-1]["content"].append(piece)
                else:
                    items.append(message(f"msg_{where}", [piece]))
            case "reasoning":
                of = proofs.HIDDEN if part.reasoning.redacted else proofs.THOUGHTS
                items.append(thoughts(f"rs_{where}", part.reasoning.text, proof_of(part.signature, of)))
            case "tool_call":
                made = part.tool_call
                items.append(call(f"fc_{where}", made.id, made.name, made.arguments_json))
                if (proof := proof_of(part.signature, proofs.CALL)) is not None:
                    items.append(thoughts(f"rs_{request_id}_{len(items)}", "", proof))
    if items and status != COMPLETED:
        items[-1]["status"] = INCOMPLETE
    return items
