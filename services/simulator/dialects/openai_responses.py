"""OpenAI's Responses: items in and out, and every event of a stream with a name and a number."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from services.simulator.api_error import ApiError, invalid
from services.simulator.chat_request import ChatRequest, ToolCall
from services.simulator.exchange import Event, Exchange, argument_pieces, pieces, sse
from services.simulator.read_request import read_request

Json = dict[str, object]


class OpenAIResponses:
    """The dialect; stateless."""

    broken = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"\n\n'

    def read(self, document: Mapping[str, object]) -> ChatRequest:
        """The request in the words of Chat Completions, which check the rest."""
        said = document.get("input")
        items = [{"role": "user", "content": said}] if isinstance(said, str) else _list(said, "input")
        instructions = document.get("instructions")
        form = _mapping(_mapping(document.get("text")).get("format"))
        translated: Json = {
            "model": document.get("model"),
            "messages": [
                *([{"role": "system", "content": instructions}] if instructions else []),
                *_turns(items),
            ],
            "max_completion_tokens": document.get("max_output_tokens"),
            "temperature": document.get("temperature"),
            "stream": document.get("stream"),
            "parallel_tool_calls": document.get("parallel_tool_calls"),
        }
        if tools := document.get("tools"):
            translated["tools"] = [_tool(_mapping(tool)) for tool in _list(tools, "tools")]
            choice = document.get("tool_choice")
            named = {"type": "function", "function": {"name": _mapping(choice).get("name")}}
            translated["tool_choice"] = named if isinstance(choice, Mapping) else choice
        if form.get("type") in ("json_schema", "json_object"):
            schema = {"name": form.get("name"), "schema": form.get("schema")}
            translated["response_format"] = {"type": form["type"], "json_schema": schema}
        return read_request(translated)

    def whole(self, exchange: Exchange) -> Mapping[str, object]:
        """A response object."""
        return _response(exchange, _items(exchange), done=True)

    def nothing(self, exchange: Exchange) -> Mapping[str, object]:
        """No item."""
        return _response(exchange, [], done=True)

    def nothing_streamed(self, exchange: Exchange) -> bytes:
        """From the start straight to the end."""
        last = {"type": "response.completed", "response": self.nothing(exchange)}
        return self.opening(exchange)[0].data + _named(last, 2)

    def opening(self, exchange: Exchange) -> list[Event]:
        """The response begins, then each item in turn."""
        numbers = count(2)
        begun = _response(exchange, [], done=False)
        start = [{"type": f"response.{word}", "response": begun} for word in ("created", "in_progress")]
        events = [Event(b"".join(_named(event, number) for number, event in enumerate(start)))]
        for place, item in enumerate(_items(exchange)):
            streamed = _message_events if item["type"] == "message" else _call_events
            for document, output in streamed(place, item):
                events.append(Event(_named(document, next(numbers)), output))
        return events

    def finish(self, exchange: Exchange) -> Event:
        """The last event has everything, so there is no end without it."""
        return self.ending(exchange)[0]

    def ending(self, exchange: Exchange) -> list[Event]:
        """The whole response once more."""
        whole = self.whole(exchange)
        return [Event(_named({"type": f"response.{whole['status']}", "response": whole}, 1_000_000))]

    def error(self, error: ApiError) -> Mapping[str, object]:
        """OpenAI's four fields."""
        return error.body()

    def error_event(self, error: ApiError) -> bytes:
        """An event of its own kind."""
        said = {"type": "error", "code": error.code or error.type, "message": error.message, "param": error.param}
        return _named(said, 999_999)


def _named(document: Mapping[str, object], number: int) -> bytes:
    return sse({**document, "sequence_number": number}, str(document["type"]))


def _response(exchange: Exchange, output: Sequence[Json], *, done: bool) -> Json:
    cut = exchange.reply.finish == "length"
    status = ("incomplete" if cut else "completed") if done else "in_progress"
    return {
        "id": f"resp_{exchange.id}",
        "object": "response",
        "created_at": exchange.created,
        "status": status,
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if done and cut else None,
        "instructions": None,
        "metadata": {},
        "model": exchange.model,
        "output": list(output),
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": _usage(exchange) if done else None,
    }


def _usage(exchange: Exchange) -> Json:
    """Nothing is ever cached or reasoned."""
    return {
        "input_tokens": exchange.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": exchange.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": exchange.prompt_tokens + exchange.output_tokens,
    }


def _items(exchange: Exchange) -> list[Json]:
    reply = exchange.reply
    return [*([_message(exchange)] if reply.text else []), *(_call(call) for call in reply.tool_calls)]


def _message(exchange: Exchange) -> Json:
    return {
        "type": "message",
        "id": f"msg_{exchange.id}",
        "role": "assistant",
        "status": "completed",
        "content": [_text(exchange.reply.text)],
    }


def _text(text: str) -> Json:
    return {"type": "output_text", "text": text, "annotations": []}


def _call(call: ToolCall) -> Json:
    return {
        "type": "function_call",
        "id": f"fc_{call.id}",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
        "status": "completed",
    }


def _message_events(place: int, item: Json) -> Iterator[tuple[Json, str]]:
    (content,) = _list(item["content"], "content")
    text = str(_mapping(content)["text"])
    where: Json = {"output_index": place, "item_id": item["id"]}
    inner: Json = {**where, "content_index": 0}
    yield {"type": "response.output_item.added", **where, "item": {**item, "status": "in_progress", "content": []}}, ""
    yield {"type": "response.content_part.added", **inner, "part": _text("")}, ""
    for piece in pieces(text):
        yield {"type": "response.output_text.delta", **inner, "delta": piece, "logprobs": []}, piece
    yield {"type": "response.output_text.done", **inner, "text": text, "logprobs": []}, ""
    yield {"type": "response.content_part.done", **inner, "part": _text(text)}, ""
    yield {"type": "response.output_item.done", **where, "item": item}, ""


def _call_events(place: int, item: Json) -> Iterator[tuple[Json, str]]:
    where: Json = {"output_index": place, "item_id": item["id"]}
    arguments = str(item["arguments"])
    begun = {**item, "status": "in_progress", "arguments": ""}
    yield {"type": "response.output_item.added", **where, "item": begun}, str(item["name"])
    for piece in argument_pieces(arguments):
        yield {"type": "response.function_call_arguments.delta", **where, "delta": piece}, piece
    done = {"type": "response.function_call_arguments.done", **where, "name": item["name"], "arguments": arguments}
    yield done, ""
    yield {"type": "response.output_item.done", **where, "item": item}, ""


def _turns(items: Sequence[object]) -> Iterator[Json]:
    """Messages of Chat Completions: neighbouring calls are one turn."""
    calls: list[Json] = []
    for number, each in enumerate(items):
        item, where = _mapping(each), f"input[{number}]"
        kind = item.get("type", "message")
        if calls and kind not in ("function_call", "reasoning"):
            yield {"role": "assistant", "content": None, "tool_calls": calls}
            calls = []
        match kind:
            case "message":
                yield {"role": item.get("role"), "content": _content(item.get("content"), where)}
            case "function_call":
                function = {"name": item.get("name"), "arguments": item.get("arguments")}
                calls.append({"id": item.get("call_id"), "type": "function", "function": function})
            case "function_call_output":
                output = item.get("output")
                text = output if isinstance(output, str) else json.dumps(output)
                yield {"role": "tool", "tool_call_id": item.get("call_id"), "content": text}
            case "reasoning":
                pass
            case other:
                raise invalid(f"Invalid value: {other!r} for '{where}.type'.", f"{where}.type")
    if calls:
        yield {"role": "assistant", "content": None, "tool_calls": calls}


def _content(content: object, where: str) -> object:
    if isinstance(content, str):
        return content
    parts: list[Json] = []
    for piece in map(_mapping, _list(content, f"{where}.content")):
        if piece.get("type") in ("input_text", "output_text", "text"):
            parts.append({"type": "text", "text": piece.get("text")})
        elif piece.get("type") == "refusal":
            parts.append({"type": "refusal", "refusal": piece.get("refusal")})
        else:
            parts.append({"type": "image_url", "image_url": {}})
    return parts


def _tool(tool: Mapping[str, object]) -> Json:
    return {"type": "function", "function": {"name": tool.get("name"), "parameters": tool.get("parameters") or {}}}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise invalid(f"Invalid type for '{where}': expected an array.", where, "invalid_type")
    return value
