"""The JSON of a Chat Completions answer, whole or as a stream, to parts of a message."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Ending, ErrorInAnswer, MalformedAnswer
from services.providers.answer import Answer

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


class OpenAIChatReading:
    """One answer being read; whole bodies and streams go through the same code."""

    def __init__(self) -> None:
        self.answer = Answer()
        self._keys: dict[int, str] = {}
        self._finish_word = ""
        self._usage: chat_pb2.Usage | None = None
        self._upstream_id = ""
        self._done = False

    @property
    def output_bytes(self) -> int:
        """Bytes of the answer so far."""
        return self.answer.output_bytes

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
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass  # so few documents are that the slower reader may look at what the strict one refuses
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
