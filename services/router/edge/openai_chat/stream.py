"""A streamed answer as chat.completion.chunk events. What does not change between chunks is encoded once."""

from __future__ import annotations

import time
from collections.abc import Iterable

import orjson

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.edge import sse
from services.router.edge.dialect import Reading, decision_json
from services.router.edge.errors import Problem
from services.router.edge.openai_chat import write
from services.router.edge.values import Json


class ChunkWriter:
    """Writes one answer. A stream ends with [DONE] only when it is complete."""

    def __init__(self, reading: Reading, request_id: str) -> None:
        self._reading = reading
        self._envelope: Json = {
            "id": f"chatcmpl-{request_id}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
        }
        self._before = b""
        self._after = b',"logprobs":null,"finish_reason":null}]'
        self._after += b',"usage":null}\n\n' if reading.include_usage else b"}\n\n"
        self._calls: dict[int, int] = {}

    def opening(self, model: str, *, from_cache: bool) -> bytes:
        """The chunk that says who speaks."""
        del from_cache
        head = orjson.dumps(self._envelope | {"model": model})
        self._before = b"data: " + head[:-1] + b',"choices":[{"index":0,"delta":'
        return self._chunk(b'{"role":"assistant","content":"","refusal":null}')

    def delta(self, parts: Iterable[chat_pb2.PartDelta]) -> bytes:
        """A chunk for each piece that the format can carry."""
        chunks = bytearray()
        for part in parts:
            match part.WhichOneof("content"):
                case "text":
                    chunks += self._chunk(b'{"content":' + orjson.dumps(part.text) + b"}")
                case "reasoning":
                    chunks += self._chunk(b'{"reasoning_content":' + orjson.dumps(part.reasoning) + b"}")
                case "refusal":
                    chunks += self._chunk(b'{"refusal":' + orjson.dumps(part.refusal) + b"}")
                case "tool_call":
                    chunks += self._call(part.part_index, part.tool_call)
        return bytes(chunks)

    def ending(self, end: pb.End) -> bytes:
        """Why it ended, what it took where that was asked for, and the end mark."""
        envelope = self._envelope | {"model": end.decision.model}
        finish = write.FINISH.get(end.finish_reason, "stop")
        choice = {"index": 0, "delta": {}, "logprobs": None, "finish_reason": finish}
        chunks = [envelope | {"choices": [choice]}]
        if self._reading.include_usage:
            chunks[0]["usage"] = None
            chunks.append(envelope | {"choices": [], "usage": write.usage(end.usage)})
        if self._reading.wants_decision:
            chunks[-1]["omnisphere"] = decision_json(end.decision)
        return b"".join(map(sse.data, chunks)) + sse.DONE

    def failure(self, problem: Problem) -> bytes:
        """The official clients raise for a chunk with an error; there is no [DONE] after it."""
        return sse.data(write.error(problem))

    def _chunk(self, delta: bytes) -> bytes:
        return self._before + delta + self._after

    def _call(self, part_index: int, call: chat_pb2.ToolCallDelta) -> bytes:
        index = self._calls.get(part_index)
        function: Json = {"arguments": call.arguments_json}
        if index is not None:
            fragment: Json = {"index": index, "function": function}
        else:
            index = self._calls[part_index] = len(self._calls)
            function = {"name": call.name, "arguments": call.arguments_json}
            fragment = {"index": index, "id": call.id, "type": "function", "function": function}
        return self._chunk(orjson.dumps({"tool_calls": [fragment]}))
