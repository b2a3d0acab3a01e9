"""One answer in each wire format, whole and as a stream, made by hand: what it says is the same everywhere."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from services.providers.adapters import WireFormat

# What every sample says, as far as its format can: thoughts, a text, a call.
THOUGHTS, TEXT = "Hm, Köln.", "Cologne: 7 °C 🌧"
CALL_ID, TOOL, ARGUMENTS = "call_a1", "weather", '{"city":"Köln","days":1.0}'


@dataclass(frozen=True)
class Sample:
    """An answer, whole and as the bytes of a stream."""

    whole: bytes
    stream: bytes
    proof: str = ""


def sse(events: Iterable[object], *, named: bool = False) -> bytes:
    """Server-sent events; `named`: with their types beside them."""
    lines = []
    for event in events:
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
        name = f"event: {event['type']}\n" if named and isinstance(event, dict) else ""
        lines.append(f"{name}data: {data}\n\n")
    return "".join(lines).encode()


def dumped(document: object) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode()


def _openai_chat() -> Sample:
    call = {"index": 0, "id": CALL_ID, "type": "function", "function": {"name": TOOL, "arguments": ARGUMENTS}}
    message = {"role": "assistant", "reasoning_content": THOUGHTS, "content": TEXT, "tool_calls": [call]}
    usage = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}

    def delta(finish: str | None = None, **fields: object) -> dict[str, object]:
        return {"id": "up", "model": "dated", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}

    head, tail = ARGUMENTS[:9], {"index": 0, "function": {"arguments": ARGUMENTS[9:]}}
    begun = {**call, "function": {"name": TOOL, "arguments": head}}
    pieces = [delta(role="assistant"), delta(reasoning_content=THOUGHTS[:3]), delta(reasoning_content=THOUGHTS[3:])]
    pieces += [delta(content=TEXT[:4]), delta(content=TEXT[4:]), delta(tool_calls=[begun]), delta(tool_calls=[tail])]
    last = {"id": "up", "model": "dated", "choices": [], "usage": usage}
    whole = {"id": "up", "model": "dated", "usage": usage}
    return Sample(
        dumped(whole | {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}),
        sse([*pieces, delta("tool_calls"), last, "[DONE]"]),
    )


def _anthropic_messages() -> Sample:
    blocks = [
        {"type": "thinking", "thinking": THOUGHTS, "signature": "c2ln"},
        {"type": "text", "text": TEXT},
        {"type": "tool_use", "id": CALL_ID, "name": TOOL, "input": json.loads(ARGUMENTS)},
    ]
    head = {"id": "up", "type": "message", "role": "assistant", "model": "dated", "stop_sequence": None}
    whole = head | {"content": blocks, "stop_reason": "tool_use", "usage": {"input_tokens": 9, "output_tokens": 7}}
    starts = [{"type": "thinking", "thinking": ""}, {"type": "text", "text": ""}, {**blocks[2], "input": {}}]
    deltas: list[list[dict[str, object]]] = [
        [{"type": "thinking_delta", "thinking": THOUGHTS}, {"type": "signature_delta", "signature": "c2ln"}],
        [{"type": "text_delta", "text": TEXT[:4]}, {"type": "text_delta", "text": TEXT[4:]}],
        [{"type": "input_json_delta", "partial_json": piece} for piece in ("", ARGUMENTS[:9], ARGUMENTS[9:])],
    ]
    usage = {"input_tokens": 9, "output_tokens": 1}
    message: dict[str, object] = head | {"content": [], "stop_reason": None, "usage": usage}
    events: list[dict[str, object]] = [{"type": "message_start", "message": message}, {"type": "ping"}]
    for at, block in enumerate(starts):
        events.append({"type": "content_block_start", "index": at, "content_block": block})
        events += [{"type": "content_block_delta", "index": at, "delta": delta} for delta in deltas[at]]
        events.append({"type": "content_block_stop", "index": at})
    ended = {"stop_reason": "tool_use", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ended, "usage": {"output_tokens": 7}})
    events.append({"type": "message_stop"})
    return Sample(dumped(whole), sse(events, named=True), proof="c2ln")


def _openai_responses() -> Sample:
    proof = {"id": "rs_1", "encrypted_content": "Z0FB"}
    summary = [{"type": "summary_text", "text": THOUGHTS}]
    reasoning: dict[str, object] = {"type": "reasoning", **proof, "summary": summary}
    content = [{"type": "output_text", "text": TEXT, "annotations": []}]
    said = {"id": "msg_1", "role": "assistant", "status": "completed", "content": content}
    message: dict[str, object] = {"type": "message", **said}
    call: dict[str, object] = {"type": "function_call", "id": "fc_1", "call_id": CALL_ID, "name": TOOL}
    call["arguments"] = ARGUMENTS
    usage = {"input_tokens": 9, "output_tokens": 7, "total_tokens": 16}
    begun = {"id": "up", "object": "response", "model": "dated", "status": "in_progress", "output": []}
    done = begun | {"status": "completed", "output": [reasoning, message, call], "usage": usage, "error": None}
    events: list[dict[str, object]] = [{"type": "response.created", "response": begun}]
    nothing: dict[str, object] = {"type": "reasoning", "id": "rs_1", "summary": []}
    growing: list[tuple[dict[str, object], dict[str, object], str, str]] = [
        (reasoning, nothing, "response.reasoning_summary_text.delta", THOUGHTS),
        (message, message | {"content": []}, "response.output_text.delta", TEXT),
        (call, call | {"arguments": ""}, "response.function_call_arguments.delta", ARGUMENTS),
    ]
    for at, (item, empty, kind, words) in enumerate(growing):
        place = {"output_index": at, "item_id": item["id"]}
        events.append({"type": "response.output_item.added", **place, "item": empty})
        events += [{"type": kind, **place, "content_index": 0, "delta": piece} for piece in (words[:5], words[5:])]
        events.append({"type": "response.output_item.done", **place, "item": item})
    events.append({"type": "response.completed", "response": done})
    return Sample(dumped(done), sse(events, named=True), proof='{"id":"rs_1","encrypted_content":"Z0FB"}')


def _gemini_generate() -> Sample:
    function = {"id": CALL_ID, "name": TOOL, "args": json.loads(ARGUMENTS)}
    call: dict[str, object] = {"functionCall": function, "thoughtSignature": "Q3NB"}
    parts: list[dict[str, object]] = [{"text": THOUGHTS, "thought": True}, {"text": TEXT}, call]
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 5, "thoughtsTokenCount": 2, "totalTokenCount": 16}

    def document(given: list[dict[str, object]], finish: str | None = None) -> dict[str, object]:
        ended = {"finishReason": finish} if finish else {}
        candidate = {"index": 0, "content": {"role": "model", "parts": given}} | ended
        return {"responseId": "up", "modelVersion": "dated", "candidates": [candidate], "usageMetadata": usage}

    pieces: list[list[dict[str, object]]] = [[parts[0]], [{"text": TEXT[:4]}]]
    pieces += [[{"text": TEXT[4:]}, call], [{"text": ""}]]
    stream = [document(given) for given in pieces[:-1]] + [document(pieces[-1], "STOP")]
    framed = sse(stream).replace(b"\n", b"\r\n")  # as it really does
    return Sample(dumped(document(parts, "STOP")), framed, proof="Q3NB")


def _cohere_chat() -> Sample:
    function = {"name": TOOL, "arguments": ARGUMENTS}
    call = {"id": CALL_ID, "type": "function", "function": function}
    content = [{"type": "thinking", "thinking": THOUGHTS}, {"type": "text", "text": TEXT}]
    message = {"role": "assistant", "content": content, "tool_calls": [call]}
    billed, tokens = {"input_tokens": 1, "output_tokens": 1}, {"input_tokens": 9.0, "output_tokens": 7}
    usage = {"billed_units": billed, "tokens": tokens}
    whole = {"id": "up", "message": message, "finish_reason": "TOOL_CALL", "usage": usage}

    def event(kind: str, index: int | None = None, **inner: object) -> dict[str, object]:
        place = {} if index is None else {"index": index}
        return {"type": kind, **place, "delta": {"message": inner}}

    def call_event(kind: str, **given: object) -> dict[str, object]:
        return event(kind, 0, tool_calls=given)

    events = [
        {"type": "message-start", "id": "up", "delta": {"message": {"role": "assistant", "content": []}}},
        event("content-start", 0, content={"type": "thinking", "thinking": ""}),
        event("content-delta", 0, content={"thinking": THOUGHTS}),
        event("content-end", 0),
        event("content-start", 1, content={"type": "text", "text": ""}),
        event("content-delta", 1, content={"text": TEXT}),
        event("content-end", 1),
        call_event("tool-call-start", **{**call, "function": {"name": TOOL, "arguments": ""}}),
        call_event("tool-call-delta", function={"arguments": ARGUMENTS}),
        call_event("tool-call-end"),
        {"type": "message-end", "delta": {"finish_reason": "TOOL_CALL", "usage": usage}},
    ]
    return Sample(dumped(whole), sse(events, named=True))


def _ollama_chat() -> Sample:
    call = {"id": CALL_ID, "function": {"name": TOOL, "arguments": json.loads(ARGUMENTS)}}
    ended = {"model": "dated", "done": True, "done_reason": "stop", "prompt_eval_count": 9, "eval_count": 7}
    message = {"role": "assistant", "thinking": THOUGHTS, "content": TEXT, "tool_calls": [call]}
    said: list[dict[str, object]] = [
        {"thinking": THOUGHTS[:2]},
        {"thinking": THOUGHTS[2:], "content": ""},
        {"content": TEXT},
        {"content": "", "tool_calls": [call]},
    ]
    lines = [{"model": "dated", "message": {"role": "assistant"} | each, "done": False} for each in said]
    last = ended | {"message": {"role": "assistant", "content": ""}}
    stream = b"".join(dumped(line) + b"\n" for line in [*lines, last])
    return Sample(dumped(ended | {"message": message}), stream)


SAMPLES: dict[WireFormat, Sample] = {
    "openai_chat": _openai_chat(),
    "openai_responses": _openai_responses(),
    "anthropic_messages": _anthropic_messages(),
    "gemini_generate": _gemini_generate(),
    "cohere_chat": _cohere_chat(),
    "ollama_chat": _ollama_chat(),
}
