"""The JSON of a Chat Completions answer, whole or as a stream, to parts of a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Ending, MalformedAnswer
from services.providers.adapters.json_text import (
    compact,
    count,
    objects,
    parsed_object,
    string,
)
from services.providers.adapters.openai_chat import details
from services.providers.adapters.reading import BaseReading, FinishWords, refuse, text_of
from services.providers.adapters.usage import disjoint

_FINISH: FinishWords = {
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
# What every message has; most have nothing beside it, or only fields that are empty.
_ALWAYS = ("role", "content")
# What else a message may have: said in another form, or not at all.
_NO_PLACE = ("audio", "images")


class OpenAIChatReading(BaseReading):
    """One answer being read; whole bodies and streams go through the same code."""

    def __init__(self, model: str = "") -> None:
        super().__init__(model)
        self._keys: dict[int, str] = {}
        self._details = details.Details(self.answer)
        self._done = False

    def whole(self, body: bytes) -> None:
        """Read a chat.completion object."""
        document = parsed_object(body)
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
        document = parsed_object(data)
        self._envelope(document)
        choices = document.get("choices") or ()
        if not isinstance(choices, list | tuple):
            raise MalformedAnswer
        for choice in choices:
            self._choice(choice, "delta")
        return self.answer.take()

    def finish(self) -> tuple[Sequence[chat_pb2.PartDelta], Ending]:
        """The answer is complete once a finish word or [DONE] came: some servers leave out the one or the other."""
        self._details.close()
        complete = bool(self.finish_word) or (self._done and not self.answer.is_empty)
        return self.ended(_FINISH.get(self.finish_word, chat_pb2.FINISH_REASON_OTHER), complete=complete)

    def _envelope(self, document: Mapping[str, Any]) -> None:
        refuse(document.get("error"))
        self.introduce(document.get("id"), document.get("model"))
        if isinstance(document.get("usage"), dict):
            self.usage = _usage(document["usage"])
        if isinstance(document.get("x_groq"), dict):  # Groq's older streams
            refuse(document["x_groq"].get("error"))
            if isinstance(document["x_groq"].get("usage"), dict):
                self.usage = _usage(document["x_groq"]["usage"])

    def _choice(self, choice: Any, where: str) -> None:  # noqa: ANN401 - whatever the provider sent
        if not isinstance(choice, dict):
            raise MalformedAnswer
        if choice.get("index"):
            return  # a second alternative, which nobody asked for
        refuse(choice.get("error"))
        message = choice.get(where) or {}
        if not isinstance(message, dict):
            raise MalformedAnswer
        content = message.get("content")
        if isinstance(content, str) and not any(value and name not in _ALWAYS for name, value in message.items()):
            self.answer.text(content)
        else:
            self._message(message)
        if isinstance(choice.get("finish_reason"), str):
            self.finish_word = choice["finish_reason"]
        if isinstance(choice.get("usage"), dict):
            self.usage = _usage(choice["usage"])

    def _message(self, message: Mapping[str, Any]) -> None:
        self._reasoning(message)
        self._content(message.get("content"))
        self.answer.refusal(string(message.get("refusal")))
        calls = message.get("tool_calls") or []
        if not isinstance(calls, list):
            raise MalformedAnswer
        for position, call in enumerate(calls):
            self._tool_call(call, position)
        if isinstance(message.get("function_call"), dict):  # the form before tools
            self._tool_call({"index": 0, "function": message["function_call"]}, 0)
        for name in _NO_PLACE:
            if message.get(name):
                self.drop(name)

    def _reasoning(self, message: Mapping[str, Any]) -> None:
        """Thoughts go by several names; OpenRouter's details have their proofs beside them."""
        if self._details.take(objects(message.get("reasoning_details"))):
            return
        self.answer.reasoning(string(message.get("reasoning_content")) or string(message.get("reasoning")))

    def _content(self, content: object) -> None:
        """Text, or a list of typed pieces as some vendors send it."""
        self.answer.text(string(content))
        for piece in objects(content):
            if piece.get("type") == "thinking":
                thoughts = piece.get("thinking")
                self.answer.reasoning(thoughts if isinstance(thoughts, str) else text_of(objects(thoughts)))
            elif isinstance(piece.get("text"), str):
                self.answer.text(piece["text"])
            else:
                self.drop(piece.get("type"))

    def _tool_call(self, call: Any, position: int) -> None:  # noqa: ANN401 - whatever the provider sent
        """A fragment belongs to the call of its index, unless it brings a new id: some vendors reuse index 0."""
        if not isinstance(call, dict):
            raise MalformedAnswer
        function = call.get("function") or {}
        if not isinstance(function, dict):
            raise MalformedAnswer
        index = call["index"] if isinstance(call.get("index"), int) else position
        call_id = string(call.get("id"))
        key = self._keys.get(index)
        if key is None or (call_id and call_id != key):
            key = call_id or f"#{len(self._keys)}"
            self._keys[index] = key
        arguments = function.get("arguments")
        text = compact(arguments) if isinstance(arguments, dict) else string(arguments)
        self.answer.tool_call(key, call_id=call_id, name=string(function.get("name")), arguments=text)


def _usage(raw: Mapping[str, Any]) -> chat_pb2.Usage:
    """completion_tokens has the reasoning in it, unless the total says it is on top."""
    prompt, completion = count(raw, "prompt_tokens"), count(raw, "completion_tokens")
    details_of_prompt = raw.get("prompt_tokens_details")
    reasoning = count(raw.get("completion_tokens_details"), "reasoning_tokens")
    if reasoning and count(raw, "total_tokens") == prompt + completion + reasoning:
        completion += reasoning
    return disjoint(
        prompt=prompt,
        completion=completion,
        cached=count(details_of_prompt, "cached_tokens") or count(raw, "prompt_cache_hit_tokens"),
        written=count(details_of_prompt, "cache_write_tokens"),
        reasoning=reasoning,
    )
