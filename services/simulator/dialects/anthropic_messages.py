"""Anthropic's Messages: blocks of content, a name on every event, input and output counted apart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from services.simulator.api_error import ApiError, invalid
from services.simulator.chat_request import ChatRequest
from services.simulator.exchange import Event, Exchange, argument_pieces, pieces, sse
from services.simulator.read_request import read_request

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
Json = dict[str, object]


class AnthropicMessages:
    """The dialect; stateless."""

    broken = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_del\n\n'

    def read(self, document: Mapping[str, object]) -> ChatRequest:
        """The request in OpenAI's words, which check the rest."""
        if "max_tokens" not in document:
            raise invalid("max_tokens: Field required", "max_tokens")
        choice = _mapping(document.get("tool_choice"))
        translated: Json = {
            "model": document.get("model"),
            "messages": [*_system(document.get("system")), *_turns(_list(document.get("messages"), "messages"))],
            "max_tokens": document["max_tokens"],
            "temperature": document.get("temperature"),
            "stop": document.get("stop_sequences") or None,
            "stream": document.get("stream"),
        }
        if tools := document.get("tools"):
            translated["tools"] = [_tool(_mapping(tool)) for tool in _list(tools, "tools")]
        if choice:
            kind = choice.get("type")
            named = {"type": "function", "function": {"name": choice.get("name")}}
            translated["tool_choice"] = named if kind == "tool" else _CHOICES.get(str(kind), kind)
            translated["parallel_tool_calls"] = not choice.get("disable_parallel_tool_use", False)
        form = _mapping(_mapping(document.get("output_config")).get("format"))
        if form:
            schema = {"name": "answer", "schema": form.get("schema")}
            translated["response_format"] = {"type": form.get("type"), "json_schema": schema}
        return read_request(translated)

    def whole(self, exchange: Exchange) -> Mapping[str, object]:
        """A message object."""
        reply = exchange.reply
        blocks: list[Json] = [{"type": "text", "text": reply.text}] if reply.text else []
        blocks += [_tool_use(call.id, call.name, json.loads(call.arguments)) for call in reply.tool_calls]
        usage = {**_input(exchange), "output_tokens": exchange.output_tokens}
        return {**_message(exchange, blocks, usage), "stop_reason": _STOP_REASONS[reply.finish]}

    def nothing(self, exchange: Exchange) -> Mapping[str, object]:
        """No block."""
        return {**self.whole(exchange), "content": []}

    def nothing_streamed(self, exchange: Exchange) -> bytes:
        """From the start straight to the end."""
        return b"".join(event.data for event in (self.opening(exchange)[0], *self.ending(exchange)))

    def opening(self, exchange: Exchange) -> list[Event]:
        """The message begins, then each block in turn."""
        start = _message(exchange, [], {**_input(exchange), "output_tokens": 1})
        events = [Event(_named({"type": "message_start", "message": start}) + _named({"type": "ping"}))]
        reply, index = exchange.reply, 0
        if reply.text:
            events += _block(index, {"type": "text", "text": ""}, _texts(reply.text))
            index += 1
        for call in reply.tool_calls:
            events += _block(index, _tool_use(call.id, call.name, {}), _fragments(call.arguments), output=call.name)
            index += 1
        return events

    def finish(self, exchange: Exchange) -> Event:
        """The event that says why it ended and how many tokens came out."""
        delta = {"stop_reason": _STOP_REASONS[exchange.reply.finish], "stop_sequence": None}
        usage = {"output_tokens": exchange.output_tokens}
        return Event(_named({"type": "message_delta", "delta": delta, "usage": usage}))

    def ending(self, exchange: Exchange) -> list[Event]:
        """That, and the end mark."""
        return [self.finish(exchange), Event(_named({"type": "message_stop"}))]

    def error(self, error: ApiError) -> Mapping[str, object]:
        """A type and a message."""
        kind = _TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": error.message}, "request_id": None}

    def error_event(self, error: ApiError) -> bytes:
        """The same as an event."""
        return sse(self.error(error), "error")


def _named(document: Mapping[str, object]) -> bytes:
    return sse(document, str(document["type"]))


def _message(exchange: Exchange, content: Sequence[Json], usage: Mapping[str, object]) -> Json:
    return {
        "id": f"msg_{exchange.id}",
        "type": "message",
        "role": "assistant",
        "model": exchange.model,
        "content": list(content),
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def _input(exchange: Exchange) -> Json:
    """Nothing is ever cached."""
    return {
        "input_tokens": exchange.prompt_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }


def _tool_use(call_id: str, name: str, arguments: object) -> Json:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def _texts(text: str) -> Iterator[tuple[Json, str]]:
    for piece in pieces(text):
        yield {"type": "text_delta", "text": piece}, piece


def _fragments(arguments: str) -> Iterator[tuple[Json, str]]:
    for piece in argument_pieces(arguments):
        yield {"type": "input_json_delta", "partial_json": piece}, piece


def _block(index: int, start: Json, deltas: Iterator[tuple[Json, str]], output: str = "") -> list[Event]:
    events = [Event(_named({"type": "content_block_start", "index": index, "content_block": start}), output)]
    events += [
        Event(_named({"type": "content_block_delta", "index": index, "delta": delta}), made) for delta, made in deltas
    ]
    return [*events, Event(_named({"type": "content_block_stop", "index": index}))]


def _system(value: object) -> list[Json]:
    if value is None:
        return []
    text = value if isinstance(value, str) else "\n".join(_text(block, "system") for block in _list(value, "system"))
    return [{"role": "system", "content": text}]


def _turns(messages: Sequence[object]) -> Iterator[Json]:
    """OpenAI's messages: results of tools first, as messages of their own."""
    for number, row in enumerate(messages):
        where, message = f"messages.{number}", _mapping(row)
        role, content = message.get("role"), message.get("content")
        if role not in ("user", "assistant"):
            raise invalid(f"{where}.role: Input should be 'user' or 'assistant'", where)
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else _list(content, where)
        said: list[Json] = []
        calls: list[Json] = []
        for block in (_mapping(each) for each in blocks):
            match block.get("type"):
                case "text":
                    said.append({"type": "text", "text": _text(block, where)})
                case "image" | "document":
                    said.append({"type": "image_url", "image_url": {}})
                case "tool_use":
                    function = {"name": block.get("name"), "arguments": json.dumps(block.get("input"))}
                    calls.append({"id": block.get("id"), "type": "function", "function": function})
                case "tool_result":
                    text = _result_text(block.get("content"), where)
                    yield {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": text}
                case "thinking" | "redacted_thinking":
                    pass
                case kind:
                    raise invalid(f"{where}.content: Input tag {kind!r} is none of the expected ones", where)
        if said or calls or role == "assistant":
            turn: Json = {"role": role, "content": said or None}
            yield turn | ({"tool_calls": calls} if calls else {})


def _result_text(content: object, where: str) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    found = [each for each in _list(content, where) if _mapping(each).get("type") == "text"]
    return "".join(_text(each, where) for each in found)


def _tool(tool: Mapping[str, object]) -> Json:
    function = {"name": tool.get("name"), "parameters": tool.get("input_schema", {})}
    return {"type": "function", "function": function}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise invalid(f"{where}: Input should be a valid list", where)
    return value


def _text(block: object, where: str) -> str:
    text = _mapping(block).get("text")
    if not isinstance(text, str):
        raise invalid(f"{where}: text: Field required", where)
    return text
