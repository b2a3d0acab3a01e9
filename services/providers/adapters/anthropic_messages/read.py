"""The JSON of an Anthropic message, whole or as a stream, to parts of a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Ending, MalformedAnswer
from services.providers.adapters.json_text import compact, count, mapping, parsed_object, string
from services.providers.adapters.reading import BaseReading, FinishWords, refuse
from services.providers.adapters.usage import disjoint

_FINISH: FinishWords = {
    "end_turn": chat_pb2.FINISH_REASON_STOP,
    "stop_sequence": chat_pb2.FINISH_REASON_STOP,
    "max_tokens": chat_pb2.FINISH_REASON_LENGTH,
    "model_context_window_exceeded": chat_pb2.FINISH_REASON_LENGTH,
    "tool_use": chat_pb2.FINISH_REASON_TOOL_CALLS,
    "refusal": chat_pb2.FINISH_REASON_CONTENT_FILTER,
}


class AnthropicMessagesReading(BaseReading):
    """One answer being read. A content block is a part; its place in the list is its key."""

    def __init__(self, model: str = "") -> None:
        super().__init__(model)
        self._raw_usage: dict[str, Any] = {}
        # Arguments that came with a block's start: they stand unless fragments follow.
        self._inputs: dict[str, str] = {}
        self._done = False

    @property
    def billed(self) -> chat_pb2.Usage | None:
        """The first event of a stream has the input's tokens; those of the output come with the stop reason."""
        return self.usage if self.finish_word else None

    def whole(self, body: bytes) -> None:
        """Read a message object."""
        document = parsed_object(body)
        refuse(document.get("error"))
        blocks = document.get("content")
        if not isinstance(blocks, list):
            raise MalformedAnswer
        self._envelope(document)
        for place, block in enumerate(blocks):
            self._block(str(place), block)
            self._close(str(place))
        self._done = True

    def event(self, data: str) -> Sequence[chat_pb2.PartDelta]:
        """Read one event of a stream."""
        event = parsed_object(data)
        refuse(event.get("error"))
        key = str(event.get("index"))
        match event.get("type"):
            case "message_start":
                self._envelope(mapping(event.get("message")))
            case "content_block_start":
                self._block(key, event.get("content_block"))
            case "content_block_delta":
                self._delta(key, mapping(event.get("delta")))
            case "content_block_stop":
                self._close(key)
            case "message_delta":
                self._envelope({**event, **mapping(event.get("delta"))})
            case "message_stop":
                self._done = True
            case "error":
                refuse({"type": "error"})  # without a word about which
        return self.answer.take()

    def finish(self) -> tuple[Sequence[chat_pb2.PartDelta], Ending]:
        """Complete with its stop reason and, of a stream, the last event."""
        for key in list(self._inputs):
            self._close(key)
        reason = _FINISH.get(self.finish_word, chat_pb2.FINISH_REASON_OTHER)
        return self.ended(reason, complete=self._done and bool(self.finish_word))

    def _envelope(self, message: Mapping[str, Any]) -> None:
        self.introduce(message.get("id"), message.get("model"))
        self.finish_word = string(message.get("stop_reason")) or self.finish_word
        reported = {name: value for name, value in mapping(message.get("usage")).items() if value is not None}
        if reported:
            self._raw_usage |= reported  # the last event repeats what changed
            self.usage = _usage(self._raw_usage)

    def _block(self, key: str, block: Any) -> None:  # noqa: ANN401 - whatever the provider sent
        if not isinstance(block, dict):
            raise MalformedAnswer
        match block.get("type"):
            case "text":
                self.answer.text(string(block.get("text")), key)
                if block.get("citations"):
                    self.drop("citations")
            case "thinking":
                self.answer.reasoning(string(block.get("thinking")), key)
                if proof := string(block.get("signature")):
                    self.answer.sign("reasoning", proof, key)
            case "redacted_thinking":
                self.answer.redacted(string(block.get("data")), key)
            case "tool_use":
                call_id, name = string(block.get("id")), string(block.get("name"))
                self.answer.tool_call(key, call_id=call_id, name=name, arguments="")
                given = block.get("input")
                self._inputs[key] = given if isinstance(given, str) else compact(given) if given else ""
            case kind:
                self.drop(kind)  # what the provider's own tools did

    def _delta(self, key: str, delta: Mapping[str, Any]) -> None:
        match delta.get("type"):
            case "text_delta":
                self.answer.text(string(delta.get("text")), key)
            case "thinking_delta":
                self.answer.reasoning(string(delta.get("thinking")), key)
            case "signature_delta":
                if proof := string(delta.get("signature")):
                    self.answer.sign("reasoning", proof, key)
            case "input_json_delta" if self.answer.has("tool_call", key):
                if fragment := string(delta.get("partial_json")):
                    self._inputs.pop(key, None)
                    self.answer.tool_call(key, call_id="", name="", arguments=fragment)
            case "input_json_delta":
                pass  # of a call that the provider answers itself
            case "citations_delta":
                self.drop("citations")
            case kind:
                self.drop(kind)

    def _close(self, key: str) -> None:
        if arguments := self._inputs.pop(key, ""):
            self.answer.tool_call(key, call_id="", name="", arguments=arguments)


def _usage(raw: Mapping[str, Any]) -> chat_pb2.Usage:
    """input_tokens has neither what came from the cache nor what went into it; output_tokens has the thoughts."""
    cached, written = count(raw, "cache_read_input_tokens"), count(raw, "cache_creation_input_tokens")
    details = mapping(raw.get("output_tokens_details"))
    return disjoint(
        prompt=count(raw, "input_tokens") + cached + written,
        completion=count(raw, "output_tokens"),
        cached=cached,
        written=written,
        reasoning=count(details, "thinking_tokens") or count(details, "reasoning_tokens"),
    )
