"""Google's generateContent: parts of contents, arguments as objects, lines that end with CRLF."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from services.simulator.api_error import ApiError, invalid
from services.simulator.chat_request import ChatRequest, ToolCall
from services.simulator.exchange import Event, Exchange, compact, pieces
from services.simulator.read_request import read_request

_FINISH = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP"}
_MODES = {"AUTO": "auto", "VALIDATED": "auto", "ANY": "required", "NONE": "none"}
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
}
Json = dict[str, object]


class GeminiGenerate:
    """The dialect; stateless."""

    broken = b'data: {"candidates": [{"content": {"parts": [{"text": "\r\n\r\n'

    def read(self, document: Mapping[str, object]) -> ChatRequest:
        """The request in OpenAI's words, which check the rest."""
        config = _mapping(_either(document, "generationConfig", "generation_config"))
        system = _mapping(_either(document, "systemInstruction", "system_instruction"))
        translated: Json = {
            "model": document.get("model"),
            "stream": document.get("stream"),
            "messages": [
                *([{"role": "system", "content": _texts(system)}] if system else []),
                *_turns(_list(document.get("contents"), "contents")),
            ],
            "max_tokens": _either(config, "maxOutputTokens", "max_output_tokens"),
            "temperature": config.get("temperature"),
            "stop": _either(config, "stopSequences", "stop_sequences") or None,
        }
        declared = [function for tool in _list(document.get("tools") or [], "tools") for function in _declared(tool)]
        if declared:
            translated["tools"] = [_tool(_mapping(function)) for function in declared]
            translated |= _choice(_mapping(_either(document, "toolConfig", "tool_config")))
        if _either(config, "responseMimeType", "response_mime_type") == "application/json":
            translated["response_format"] = _form(config)
        return read_request(translated)

    def whole(self, exchange: Exchange) -> Mapping[str, object]:
        """A GenerateContentResponse."""
        reply = exchange.reply
        parts: list[Json] = [{"text": reply.text}] if reply.text else []
        parts += map(_call, reply.tool_calls)
        return {**_chunk(exchange, parts, _FINISH[reply.finish]), "usageMetadata": _usage(exchange)}

    def nothing(self, exchange: Exchange) -> Mapping[str, object]:
        """No candidate."""
        return {**self.whole(exchange), "candidates": []}

    def nothing_streamed(self, exchange: Exchange) -> bytes:
        """The same as the only event."""
        return _sse(self.nothing(exchange))

    def opening(self, exchange: Exchange) -> list[Event]:
        """An empty chunk, then the parts; a call comes at once."""
        events = [Event(_sse(_chunk(exchange, [{"text": ""}])))]
        events += [Event(_sse(_chunk(exchange, [{"text": piece}])), piece) for piece in pieces(exchange.reply.text)]
        for call in exchange.reply.tool_calls:
            events.append(Event(_sse(_chunk(exchange, [_call(call)])), call.name + call.arguments))
        return events

    def finish(self, exchange: Exchange) -> Event:
        """A chunk with the reason, and no figures."""
        return Event(_sse(_chunk(exchange, [], _FINISH[exchange.reply.finish])))

    def ending(self, exchange: Exchange) -> list[Event]:
        """The reason and the figures in one; there is no end mark."""
        last = {**_chunk(exchange, [], _FINISH[exchange.reply.finish]), "usageMetadata": _usage(exchange)}
        return [Event(_sse(last))]

    def error(self, error: ApiError) -> Mapping[str, object]:
        """Google's status; how long to wait stands in its details alone."""
        said: Json = {
            "code": error.status,
            "message": error.message,
            "status": _STATUSES.get(error.status, "INTERNAL"),
        }
        if wait := error.headers.get("Retry-After"):
            said["details"] = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{wait}s"}]
        return {"error": said}

    def error_event(self, error: ApiError) -> bytes:
        """The same as an event."""
        return _sse(self.error(error))


def _sse(document: Mapping[str, object]) -> bytes:
    return b"data: " + compact(document) + b"\r\n\r\n"


def _chunk(exchange: Exchange, parts: Sequence[Json], finish: str = "") -> Json:
    candidate: Json = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "modelVersion": exchange.model, "responseId": exchange.id}


def _usage(exchange: Exchange) -> Json:
    return {
        "promptTokenCount": exchange.prompt_tokens,
        "candidatesTokenCount": exchange.output_tokens,
        "totalTokenCount": exchange.prompt_tokens + exchange.output_tokens,
    }


def _call(call: ToolCall) -> Json:
    return {"functionCall": {"id": call.id, "name": call.name, "args": json.loads(call.arguments)}}


def _turns(contents: Sequence[object]) -> Iterator[Json]:
    """OpenAI's messages. A result without an id answers the oldest call of its name that waits."""
    waiting: dict[str, deque[str]] = {}
    for number, row in enumerate(contents):
        content, where = _mapping(row), f"contents[{number}]"
        role = content.get("role", "user")
        if role not in ("user", "model"):
            raise invalid("Please use a valid role: user, model.", where)
        said: list[Json] = []
        calls: list[Json] = []
        for place, part in enumerate(map(_mapping, _list(content.get("parts"), f"{where}.parts"))):
            call = _mapping(_either(part, "functionCall", "function_call"))
            result = _mapping(_either(part, "functionResponse", "function_response"))
            if call:
                call_id, name = str(call.get("id") or f"{number}_{place}"), str(call.get("name"))
                waiting.setdefault(name, deque()).append(call_id)
                function = {"name": name, "arguments": json.dumps(call.get("args") or {})}
                calls.append({"id": call_id, "type": "function", "function": function})
            elif result:
                mine = waiting.get(str(result.get("name"))) or deque([""])
                call_id = str(result.get("id") or mine[0])
                if call_id in mine:
                    mine.remove(call_id)
                yield {"role": "tool", "tool_call_id": call_id, "content": json.dumps(result.get("response"))}
            elif isinstance(part.get("text"), str):
                if not part.get("thought"):
                    said.append({"type": "text", "text": part["text"]})
            elif _either(part, "inlineData", "inline_data") or _either(part, "fileData", "file_data"):
                said.append({"type": "image_url", "image_url": {}})
            else:
                raise invalid(f"{where}.parts[{place}].data: required oneof field 'data' must be initialized", where)
        if said or calls:
            turn: Json = {"role": "assistant" if role == "model" else "user", "content": said or None}
            yield turn | ({"tool_calls": calls} if calls else {})


def _choice(config: Mapping[str, object]) -> Json:
    calling = _mapping(_either(config, "functionCallingConfig", "function_calling_config"))
    mode = _MODES.get(str(calling.get("mode")), "auto")
    names = _list(_either(calling, "allowedFunctionNames", "allowed_function_names") or [], "toolConfig")
    if mode == "required" and len(names) == 1:
        return {"tool_choice": {"type": "function", "function": {"name": names[0]}}}
    return {"tool_choice": mode}


def _declared(tool: object) -> list[object]:
    return _list(_either(_mapping(tool), "functionDeclarations", "function_declarations") or [], "tools")


def _form(config: Mapping[str, object]) -> Json:
    schema = _either(config, "responseJsonSchema", "response_json_schema")
    if not isinstance(schema, Mapping):
        return {"type": "json_object"}
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}


def _tool(function: Mapping[str, object]) -> Json:
    parameters = _either(function, "parametersJsonSchema", "parameters_json_schema") or {}
    return {"type": "function", "function": {"name": function.get("name"), "parameters": parameters}}


def _texts(content: Mapping[str, object]) -> str:
    parts = map(_mapping, _list(content.get("parts"), "systemInstruction.parts"))
    return "\n".join(str(part.get("text", "")) for part in parts)


def _either(document: Mapping[str, object], *names: str) -> object:
    """The API knows every field in two spellings."""
    return next((document[name] for name in names if document.get(name) is not None), None)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object, where: str) -> list[object]:
    if not isinstance(value, list):
        raise invalid(f"{where}: must be a list", where)
    return value
