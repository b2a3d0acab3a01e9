"""The Chat Completions wire format: OpenAI's own, and that of every compatible server.

    https://platform.openai.com/docs/api-reference/chat

Quirks of vendors are named flags: `max_completion_tokens` (the newer name of the limit), `developer_role` (system
messages go out as developer), `system_role_only` (developer messages go out as system).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from omnisphere.chat.v1 import chat_pb2
from services.chassis.errors import InvalidRequest
from services.providers.adapters import Encoded, Ending, ErrorInAnswer, MalformedAnswer
from services.providers.answer import Answer

Json = dict[str, Any]
_ROLES = {
    chat_pb2.ROLE_SYSTEM: "system",
    chat_pb2.ROLE_DEVELOPER: "developer",
    chat_pb2.ROLE_USER: "user",
    chat_pb2.ROLE_ASSISTANT: "assistant",
}
_CHOICES = {
    chat_pb2.ToolChoice.MODE_AUTO: "auto",
    chat_pb2.ToolChoice.MODE_NONE: "none",
    chat_pb2.ToolChoice.MODE_REQUIRED: "required",
}
# Fields of the body that the contract speaks for, set or not; `n` and `functions` it leaves out on purpose.
_CARRIED = {
    *("model", "messages", "tools", "tool_choice", "parallel_tool_calls", "functions", "response_format", "n"),
    *("temperature", "top_p", "seed", "stop", "max_tokens", "max_completion_tokens", "reasoning_effort"),
    *("stream", "stream_options"),
}
_EFFORTS = {
    chat_pb2.REASONING_EFFORT_NONE: "none",
    chat_pb2.REASONING_EFFORT_LOW: "low",
    chat_pb2.REASONING_EFFORT_MEDIUM: "medium",
    chat_pb2.REASONING_EFFORT_HIGH: "high",
}
_FINISH = {
    "stop": chat_pb2.FINISH_REASON_STOP,
    "end_turn": chat_pb2.FINISH_REASON_STOP,
    "eos": chat_pb2.FINISH_REASON_STOP,
    "length": chat_pb2.FINISH_REASON_LENGTH,
    "max_tokens": chat_pb2.FINISH_REASON_LENGTH,
    "model_length": chat_pb2.FINISH_REASON_LENGTH,
    "tool_calls": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "function_call": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "content_filter": chat_pb2.FINISH_REASON_CONTENT_FILTER,
    "error": chat_pb2.FINISH_REASON_ERROR,
}

# A count from here on is no count: it would not fit the books.
_MOST_TOKENS = 10**12
_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")


class OpenAIChat:
    """Adapter of the format; stateless."""

    def encode(
        self, conversation: chat_pb2.Conversation, *, model: str, stream: bool, quirks: frozenset[str]
    ) -> Encoded:
        """The request as JSON. What the format cannot carry comes back as degradations."""
        lost = _Lost()
        body: Json = {"model": model, "messages": _messages(conversation, quirks, lost)}
        body |= _tools(conversation)
        body |= _response_format(conversation.response_format)
        body |= _sampling(conversation.sampling, quirks)
        body["stream"] = stream
        if stream:
            body["stream_options"] = {"include_usage": True}
        if conversation.vendor_options_json:
            body = _with_vendor_options(body, conversation.vendor_options_json)
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return Encoded("/chat/completions", text.encode("utf-8", errors="backslashreplace"), tuple(lost.degradations))

    def reading(self, *, model: str) -> OpenAIChatReading:
        """A reader for one answer."""
        del model  # the format has no signatures that would name it
        return OpenAIChatReading()


class OpenAIChatReading:
    """One answer being read; whole bodies and streams go through the same code."""

    def __init__(self) -> None:
        self.answer = Answer()
        self._keys: dict[int, str] = {}
        self._finish_word = ""
        self._usage: chat_pb2.Usage | None = None
        self._upstream_id = ""
        self._done = False

    def whole(self, body: bytes) -> None:
        """Read a chat.completion object."""
        document = _parsed(body.decode("utf-8-sig", errors="replace"))
        self._envelope(document)
        choices = document.get("choices")
        if not isinstance(choices, list):
            raise MalformedAnswer
        if not choices:
            raise MalformedAnswer("empty")
        self._choice(choices[0], "message")
        self._done = True

    def event(self, data: str) -> Sequence[chat_pb2.PartDelta]:
        """Read a chat.completion.chunk object, or [DONE]."""
        if data.strip() == "[DONE]":
            self._done = True
            return ()
        document = _parsed(data)
        self._envelope(document)
        choices = document.get("choices") or ()
        if not isinstance(choices, list | tuple):
            raise MalformedAnswer
        for choice in choices:
            self._choice(choice, "delta")
        return self.answer.take()

    def finish(self) -> tuple[Sequence[chat_pb2.PartDelta], Ending]:
        """The answer is complete once a finish word or [DONE] came: some servers leave out the one or the other."""
        self.answer.close_tool_calls()
        reason = _FINISH.get(self._finish_word, chat_pb2.FINISH_REASON_OTHER)
        if self.answer.has_tool_calls and (reason == chat_pb2.FINISH_REASON_STOP or not self._finish_word):
            reason = chat_pb2.FINISH_REASON_TOOL_CALLS
        complete = bool(self._finish_word) or (self._done and not self.answer.is_empty)
        ending = Ending(reason, self._finish_word[:64], self._usage, self._upstream_id[:256], complete)
        return self.answer.take(), ending

    def message(self) -> chat_pb2.Message:
        """The answer so far."""
        return self.answer.message()

    def _envelope(self, document: Any) -> None:  # noqa: ANN401 - whatever the provider sent
        if not isinstance(document, dict):
            raise MalformedAnswer
        error = document.get("error")
        if error:
            raise ErrorInAnswer(error if isinstance(error, dict) else {"message": str(error)})
        if isinstance(document.get("id"), str):
            self._upstream_id = self._upstream_id or document["id"]
        for holder in (document, document.get("x_groq")):  # Groq's older streams
            if isinstance(holder, dict) and isinstance(holder.get("usage"), dict):
                self._usage = _usage(holder["usage"])

    def _choice(self, choice: Any, where: str) -> None:  # noqa: ANN401 - whatever the provider sent
        if not isinstance(choice, dict):
            raise MalformedAnswer
        if choice.get("index"):
            return  # a second alternative, which nobody asked for
        message = choice.get(where) or {}
        if not isinstance(message, dict):
            raise MalformedAnswer
        self.answer.reasoning(_text(message.get("reasoning_content")) or _text(message.get("reasoning")))
        self._content(message.get("content"))
        self.answer.refusal(_text(message.get("refusal")))
        calls = message.get("tool_calls") or []
        if not isinstance(calls, list):
            raise MalformedAnswer
        for position, call in enumerate(calls):
            self._tool_call(call, position)
        if isinstance(message.get("function_call"), dict):  # the form before tools
            self._tool_call({"index": 0, "function": message["function_call"]}, 0)
        if isinstance(choice.get("finish_reason"), str):
            self._finish_word = choice["finish_reason"]
        if isinstance(choice.get("usage"), dict):
            self._usage = _usage(choice["usage"])

    def _content(self, content: object) -> None:
        """Text, or a list of typed pieces as some vendors send it."""
        if isinstance(content, str):
            self.answer.text(content)
        elif isinstance(content, list):
            for piece in content:
                if isinstance(piece, dict) and piece.get("type") == "thinking":
                    thoughts = piece.get("thinking")
                    for thought in thoughts if isinstance(thoughts, list) else [{"text": thoughts}]:
                        self.answer.reasoning(_text(thought.get("text")) if isinstance(thought, dict) else "")
                elif isinstance(piece, dict):
                    self.answer.text(_text(piece.get("text")))

    def _tool_call(self, call: Any, position: int) -> None:  # noqa: ANN401 - whatever the provider sent
        """A fragment belongs to the call of its index, unless it brings a new id: some vendors reuse index 0."""
        if not isinstance(call, dict):
            raise MalformedAnswer
        function = call.get("function") or {}
        if not isinstance(function, dict):
            raise MalformedAnswer
        index = call["index"] if isinstance(call.get("index"), int) else position
        call_id = _text(call.get("id"))
        key = self._keys.get(index)
        if key is None or (call_id and call_id != key):
            key = call_id or f"#{len(self._keys)}"
            self._keys[index] = key
        arguments = function.get("arguments")
        text = json.dumps(arguments) if isinstance(arguments, dict) else _text(arguments)
        self.answer.tool_call(key, call_id=call_id, name=_text(function.get("name")), arguments=text)


class _Lost:
    """Collects what the format cannot carry."""

    def __init__(self) -> None:
        self.degradations: list[chat_pb2.Degradation] = []

    def feature(self, path: str) -> None:
        self._add(chat_pb2.Degradation.KIND_FEATURE_DROPPED, path)

    def signature(self, path: str) -> None:
        self._add(chat_pb2.Degradation.KIND_SIGNATURE_DROPPED, path)

    def _add(self, kind: chat_pb2.Degradation.Kind.ValueType, path: str) -> None:
        self.degradations.append(chat_pb2.Degradation(kind=kind, subject=path))


def _messages(conversation: chat_pb2.Conversation, quirks: frozenset[str], lost: _Lost) -> list[Json]:
    out: list[Json] = []
    for at, message in enumerate(conversation.messages):
        path = f"conversation.messages[{at}]"
        for place, part in enumerate(message.parts):
            if part.HasField("signature"):
                lost.signature(f"{path}.parts[{place}].signature")
        if message.role == chat_pb2.ROLE_TOOL:
            out.extend(_tool_results(message, path, lost))
            continue
        encoded: Json = {"role": _role(message.role, quirks)}
        if message.name:
            encoded["name"] = message.name
        if message.role == chat_pb2.ROLE_ASSISTANT:
            encoded |= _assistant(message, path, lost)
        else:
            encoded["content"] = _content(message, path, lost)
        out.append(encoded)
    return out


def _role(role: chat_pb2.Role.ValueType, quirks: frozenset[str]) -> str:
    if role == chat_pb2.ROLE_DEVELOPER and "system_role_only" in quirks:
        return "system"
    if role == chat_pb2.ROLE_SYSTEM and "developer_role" in quirks:
        return "developer"
    return _ROLES[role]


def _content(message: chat_pb2.Message, path: str, lost: _Lost) -> str | list[Json]:
    """Plain text where there is nothing else: every compatible server reads that."""
    pieces: list[Json] = []
    for place, part in enumerate(message.parts):
        piece = _piece(part)
        if piece is None:
            lost.feature(f"{path}.parts[{place}].{part.WhichOneof('content')}")
        else:
            pieces.append(piece)
    if all(piece["type"] == "text" for piece in pieces) and len(pieces) <= 1:
        return "".join(piece["text"] for piece in pieces)
    return pieces


def _piece(part: chat_pb2.Part) -> Json | None:
    match part.WhichOneof("content"):
        case "text":
            return {"type": "text", "text": part.text}
        case "image":
            image = part.image
            url = image.remote_uri or _data_url(image.media_type, image.data)
            return {"type": "image_url", "image_url": {"url": url} | ({"detail": image.detail} if image.detail else {})}
        case "document" if part.document.data:
            document = part.document
            data = _data_url(document.media_type, document.data)
            return {"type": "file", "file": {"filename": document.name or "document", "file_data": data}}
        case _:
            return None


def _assistant(message: chat_pb2.Message, path: str, lost: _Lost) -> Json:
    texts, calls, refusal = [], [], ""
    for place, part in enumerate(message.parts):
        match part.WhichOneof("content"):
            case "text":
                texts.append(part.text)
            case "refusal":
                refusal = part.refusal
            case "tool_call":
                function = {"name": part.tool_call.name, "arguments": part.tool_call.arguments_json or "{}"}
                calls.append({"id": part.tool_call.id, "type": "function", "function": function})
            case kind:
                lost.feature(f"{path}.parts[{place}].{kind}")
    encoded: Json = {"content": "".join(texts) if texts else None}
    if refusal:
        encoded["refusal"] = refusal
    if calls:
        encoded["tool_calls"] = calls
    elif encoded["content"] is None and not refusal:
        encoded["content"] = ""
    return encoded


def _tool_results(message: chat_pb2.Message, path: str, lost: _Lost) -> list[Json]:
    """One message per result, as the format wants it; only text fits in."""
    out: list[Json] = []
    for place, part in enumerate(message.parts):
        result = part.tool_result
        for inner, piece in enumerate(result.parts):
            if piece.WhichOneof("content") != "text":
                lost.feature(f"{path}.parts[{place}].tool_result.parts[{inner}].{piece.WhichOneof('content')}")
        text = "".join(piece.text for piece in result.parts)
        content = f"Error: {text}" if result.is_error else text
        out.append({"role": "tool", "tool_call_id": result.tool_call_id, "content": content})
    return out


def _tools(conversation: chat_pb2.Conversation) -> Json:
    if not conversation.tools:
        return {}
    tools = []
    for tool in conversation.tools:
        function: Json = {"name": tool.name}
        if tool.description:
            function["description"] = tool.description
        if tool.parameters_json:
            function["parameters"] = json.loads(tool.parameters_json)
        if tool.strict:
            function["strict"] = True
        tools.append({"type": "function", "function": function})
    encoded: Json = {"tools": tools}
    choice = conversation.tool_choice
    if choice.mode == chat_pb2.ToolChoice.MODE_NAMED:
        encoded["tool_choice"] = {"type": "function", "function": {"name": choice.name}}
    elif choice.mode in _CHOICES:
        encoded["tool_choice"] = _CHOICES[choice.mode]
    if choice.disable_parallel:
        encoded["parallel_tool_calls"] = False
    return encoded


def _response_format(form: chat_pb2.ResponseFormat) -> Json:
    if form.kind == chat_pb2.ResponseFormat.KIND_JSON_OBJECT:
        return {"response_format": {"type": "json_object"}}
    if form.kind != chat_pb2.ResponseFormat.KIND_JSON_SCHEMA:
        return {}
    schema = {"name": form.name, "schema": json.loads(form.schema_json), "strict": form.strict}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _sampling(sampling: chat_pb2.Sampling, quirks: frozenset[str]) -> Json:
    encoded: Json = {}
    for name in ("temperature", "top_p", "seed"):
        if sampling.HasField(name):
            encoded[name] = getattr(sampling, name)
    if sampling.HasField("max_output_tokens"):
        limit = "max_completion_tokens" if "max_completion_tokens" in quirks else "max_tokens"
        encoded[limit] = sampling.max_output_tokens
    if sampling.stop:
        encoded["stop"] = list(sampling.stop)
    if sampling.reasoning_effort in _EFFORTS:
        encoded["reasoning_effort"] = _EFFORTS[sampling.reasoning_effort]
    return encoded


def _with_vendor_options(body: Json, text: str) -> Json:
    field = "conversation.vendor_options_json"
    options: Json = json.loads(text)
    for name in sorted(set(options) & (set(body) | _CARRIED)):
        raise InvalidRequest(field=field, problem=f"names {name[:64]}, which the contract carries itself")
    return body | options


def _usage(raw: Mapping[str, Any]) -> chat_pb2.Usage:
    """Totals to disjoint classes. completion_tokens has the reasoning in it, unless the total says it is on top.

    Some vendors report more cached tokens than tokens; the total is what they bill, so it bounds the parts.
    """
    prompt, completion = _count(raw, "prompt_tokens"), _count(raw, "completion_tokens")
    prompt_details = raw.get("prompt_tokens_details") or {}
    cached = _count(prompt_details, "cached_tokens") or _count(raw, "prompt_cache_hit_tokens")
    written = _count(prompt_details, "cache_write_tokens")
    reasoning = _count(raw.get("completion_tokens_details") or {}, "reasoning_tokens")
    if reasoning and _count(raw, "total_tokens") == prompt + completion + reasoning:
        completion += reasoning
    reasoning = min(reasoning, completion)
    cached = min(cached, prompt)
    written = min(written, prompt - cached)
    return chat_pb2.Usage(
        input_uncached_tokens=prompt - cached - written,
        input_cache_read_tokens=cached,
        input_cache_write_tokens=written,
        output_tokens=completion - reasoning,
        reasoning_tokens=reasoning,
    )


def _count(raw: Any, name: str) -> int:  # noqa: ANN401 - whatever the provider sent
    value = raw.get(name) if isinstance(raw, dict) else None
    return value if isinstance(value, int) and 0 < value < _MOST_TOKENS else 0


def _parsed(text: str) -> Any:  # noqa: ANN401 - whatever the provider sent
    """The JSON document. An escaped half of a surrogate pair, which no UTF-8 can carry, becomes U+FFFD."""
    try:
        document = json.loads(text)
        if _ESCAPED_HALF.search(text):
            whole = json.dumps(document, ensure_ascii=False)
            document = json.loads(_HALF.sub("\N{REPLACEMENT CHARACTER}", whole))
    except (ValueError, RecursionError):
        raise MalformedAnswer from None
    return document


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
