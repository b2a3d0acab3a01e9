"""A streamed answer as the events of the Messages format, message_start to message_stop.

Blocks come one after the other, while parts of our contract may grow in turns: a tool call is never cut (in_turn.py);
other blocks are closed, and a text that grows again gets a further block.
"""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.edge import sse
from services.router.edge.anthropic_messages import signatures, write
from services.router.edge.anthropic_messages.guess import input_tokens
from services.router.edge.dialect import Reading, decision_json
from services.router.edge.errors import Problem
from services.router.edge.in_turn import InTurn
from services.router.edge.values import Json

_BEFORE_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":'
_PING = sse.named(b"ping", {"type": "ping"})


class EventWriter:
    """Writes one answer."""

    def __init__(self, reading: Reading, request_id: str) -> None:
        self._conversation = reading.request.conversation
        self._wants_decision = reading.wants_decision
        self._id = f"msg_{request_id}"
        self._blocks = 0
        self._open: int | None = None
        self._in_turn = InTurn()
        self._refused = False
        self._before_delta = b""

    def opening(self, model: str, *, from_cache: bool) -> bytes:
        """message_start. What the input took is not known yet, and guessed; message_delta says it."""
        guess = 0 if from_cache else input_tokens(self._conversation)
        message: Json = {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write.usage(chat_pb2.Usage(input_uncached_tokens=guess)),
        }
        return sse.named(b"message_start", {"type": "message_start", "message": message}) + _PING

    def delta(self, parts: Iterable[chat_pb2.PartDelta]) -> bytes:
        """More of the blocks."""
        out = bytearray()
        for part in self._in_turn.take(parts):
            self._write(part, out)
        return bytes(out)

    def ending(self, end: pb.End) -> bytes:
        """The last block ends; then why it ended, and what it took."""
        out = bytearray()
        for part in self._in_turn.rest():
            self._write(part, out)
        self._close(out)
        ended: Json = {
            "type": "message_delta",
            "delta": {
                "stop_reason": write.stop_reason(end.finish_reason, refused=self._refused),
                "stop_sequence": None,
            },
            "usage": write.usage(end.usage),
        }
        if self._wants_decision:
            ended["omnisphere"] = decision_json(end.decision)
        out += sse.named(b"message_delta", ended)
        return bytes(out + sse.named(b"message_stop", {"type": "message_stop"}))

    def failure(self, problem: Problem) -> bytes:
        """The official clients raise for it; there is no message_stop after it."""
        return sse.named(b"error", write.error(problem))

    def _write(self, part: chat_pb2.PartDelta, out: bytearray) -> None:
        kind = part.WhichOneof("content")
        if kind == "whole":
            self._whole(part.whole, out)
            return
        if part.part_index != self._open:
            self._close(out)
            self._begin(part, kind, out)
        match kind:
            case "text":
                self._grow(b'"text_delta","text":', part.text, out)
            case "reasoning":
                self._grow(b'"thinking_delta","thinking":', part.reasoning, out)
            case "refusal":
                self._refused = True
                self._grow(b'"text_delta","text":', part.refusal, out)
            case "tool_call" if part.tool_call.arguments_json:
                self._grow(b'"input_json_delta","partial_json":', part.tool_call.arguments_json, out)
        if part.HasField("signature") and kind in ("reasoning", None):
            self._grow(b'"signature_delta","signature":', signatures.written(part.signature), out)

    def _begin(self, part: chat_pb2.PartDelta, kind: str | None, out: bytearray) -> None:
        block: Json
        if kind == "tool_call":
            block = {"type": "tool_use", "id": part.tool_call.id, "name": part.tool_call.name, "input": {}}
        elif kind in ("reasoning", None):  # a proof alone belongs to thoughts
            block = {"type": "thinking", "thinking": "", "signature": ""}
        else:
            block = {"type": "text", "text": ""}
        self._open = part.part_index
        self._start(block, out)
        self._before_delta = _BEFORE_DELTA % self._blocks

    def _whole(self, part: chat_pb2.Part, out: bytearray) -> None:
        """Hidden thoughts come at once; other whole parts have no block in this format."""
        if part.reasoning.redacted:
            self._close(out)
            self._start(write.redacted(part), out)
            self._stop(out)

    def _start(self, block: Json, out: bytearray) -> None:
        started = {"type": "content_block_start", "index": self._blocks, "content_block": block}
        out += sse.named(b"content_block_start", started)

    def _grow(self, kind: bytes, text: str, out: bytearray) -> None:
        out += self._before_delta + kind + orjson.dumps(text) + b"}}\n\n"

    def _close(self, out: bytearray) -> None:
        if self._open is not None:
            self._open = None
            self._stop(out)

    def _stop(self, out: bytearray) -> None:
        out += sse.named(b"content_block_stop", {"type": "content_block_stop", "index": self._blocks})
        self._blocks += 1
