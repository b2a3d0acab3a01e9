"""OpenAI's Chat Completions: one JSON object, or a list of server-sent events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.simulator.api_error import ApiError
from services.simulator.chat_request import ChatRequest, ToolCall
from services.simulator.exchange import Event, Exchange, argument_pieces, pieces, sse
from services.simulator.read_request import read_request

_DONE = b"data: [DONE]\n\n"
_FINGERPRINT = "fp_simulated"


class OpenAIChat:
    """The dialect; stateless."""

    broken = b'data: {"id":"chatcmpl-broken","choices":[{"index":0,"delta":{"content":"\n\n'

    def read(self, document: Mapping[str, object]) -> ChatRequest:
        """Refuses as OpenAI does."""
        return read_request(document)

    def whole(self, exchange: Exchange) -> Mapping[str, object]:
        """A chat.completion object."""
        reply = exchange.reply
        message: dict[str, object] = {
            "role": "assistant",
            "content": None if reply.tool_calls else reply.text,
            "refusal": None,
        }
        if reply.tool_calls:
            message["tool_calls"] = [_whole_call(call) for call in reply.tool_calls]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish}
        return {
            **_envelope(exchange, "chat.completion"),
            "choices": [choice],
            "usage": _usage(exchange),
        }

    def nothing(self, exchange: Exchange) -> Mapping[str, object]:
        """No choice."""
        return {**self.whole(exchange), "choices": []}

    def nothing_streamed(self, exchange: Exchange) -> bytes:
        """A chunk without a choice, and the end mark."""
        document = {**_envelope(exchange, _CHUNK), "choices": [], "usage": _usage(exchange)}
        return sse(document) + _DONE

    def opening(self, exchange: Exchange) -> list[Event]:
        """The role chunk and every chunk with content, in order."""
        calls = exchange.reply.tool_calls
        role: dict[str, object] = {"role": "assistant", "content": None if calls else "", "refusal": None}
        events = [Event(_chunk(exchange, role))]
        events += [Event(_chunk(exchange, {"content": piece}), piece) for piece in pieces(exchange.reply.text)]
        for index, call in enumerate(calls):
            for fragment, output in _call_fragments(index, call):
                events.append(Event(_chunk(exchange, {"tool_calls": [fragment]}), output))
        return events

    def finish(self, exchange: Exchange) -> Event:
        """The chunk that says why the reply ended."""
        return Event(_chunk(exchange, {}, finish=exchange.reply.finish))

    def ending(self, exchange: Exchange) -> list[Event]:
        """The finish chunk, usage where it was asked for, and the end mark."""
        events = [self.finish(exchange), Event(_DONE)]
        if exchange.wants_usage:
            usage = {**_envelope(exchange, _CHUNK), "choices": [], "usage": _usage(exchange)}
            events.insert(1, Event(sse(usage)))
        return events

    def error(self, error: ApiError) -> Mapping[str, object]:
        """OpenAI's four fields."""
        return error.body()

    def error_event(self, error: ApiError) -> bytes:
        """The same as an event."""
        return sse(error.body())


_CHUNK = "chat.completion.chunk"


def _usage(exchange: Exchange) -> dict[str, object]:
    """OpenAI's usage object; nothing is ever cached or reasoned."""
    return {
        "prompt_tokens": exchange.prompt_tokens,
        "completion_tokens": exchange.output_tokens,
        "total_tokens": exchange.prompt_tokens + exchange.output_tokens,
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    }


def _chunk(exchange: Exchange, delta: dict[str, object], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    document = {**_envelope(exchange, _CHUNK), "choices": [choice]}
    if exchange.wants_usage:
        document["usage"] = None
    return sse(document)


def _envelope(exchange: Exchange, kind: str) -> dict[str, object]:
    return {
        "id": f"chatcmpl-{exchange.id}",
        "object": kind,
        "created": exchange.created,
        "model": exchange.model,
        "system_fingerprint": _FINGERPRINT,
    }


def _whole_call(call: ToolCall) -> dict[str, object]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }


def _call_fragments(index: int, call: ToolCall) -> Iterator[tuple[dict[str, object], str]]:
    """The deltas of one tool call: who is called first, then the arguments bit by bit."""
    first = {"name": call.name, "arguments": ""}
    yield {"index": index, "id": call.id, "type": "function", "function": first}, call.name
    for part in argument_pieces(call.arguments):
        yield {"index": index, "function": {"arguments": part}}, part
