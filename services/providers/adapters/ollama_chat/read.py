"""The JSON of an answer of Ollama's own chat API, whole or line by line, to parts of a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Ending, MalformedAnswer
from services.providers.adapters.json_text import compact, count, mapping, objects, parsed_object, string
from services.providers.adapters.reading import BaseReading, FinishWords, refuse
from services.providers.adapters.usage import disjoint

_FINISH: FinishWords = {
    "stop": chat_pb2.FINISH_REASON_STOP,
    "length": chat_pb2.FINISH_REASON_LENGTH,
}


class OllamaChatReading(BaseReading):
    """One answer being read: each document has more of the message, the last one says that it is done."""

    def __init__(self, model: str = "") -> None:
        super().__init__(model)
        self._calls = 0
        self._done = False

    def whole(self, body: bytes) -> None:
        """Read a chat response."""
        document = parsed_object(body)
        self._document(document)
        if not isinstance(document.get("message"), dict):
            raise MalformedAnswer

    def event(self, data: str) -> Sequence[chat_pb2.PartDelta]:
        """Read one line of a stream."""
        self._document(parsed_object(data))
        return self.answer.take()

    def finish(self) -> tuple[Sequence[chat_pb2.PartDelta], Ending]:
        """Complete once a document said so. Older servers give no reason."""
        known = _FINISH.get(self.finish_word, chat_pb2.FINISH_REASON_OTHER)
        return self.ended(known if self.finish_word else chat_pb2.FINISH_REASON_STOP, complete=self._done)

    def _document(self, document: Mapping[str, Any]) -> None:
        refuse(document.get("error"))
        self.introduce(None, document.get("model"))
        message = mapping(document.get("message"))
        self.answer.reasoning(string(message.get("thinking")))
        self.answer.text(string(message.get("content")))
        for call in objects(message.get("tool_calls")):
            self._call(call)
        if document.get("done") is True:
            self._done = True
            self.finish_word = string(document.get("done_reason"))
            prompt, completion = count(document, "prompt_eval_count"), count(document, "eval_count")
            if prompt or completion:
                self.usage = disjoint(prompt=prompt, completion=completion)

    def _call(self, call: Mapping[str, Any]) -> None:
        """Calls come whole, each in one document."""
        function = mapping(call.get("function"))
        arguments = function.get("arguments")
        self._calls += 1
        self.answer.tool_call(
            str(self._calls),
            call_id=string(call.get("id")),
            name=string(function.get("name")),
            arguments=arguments if isinstance(arguments, str) else compact(arguments or {}),
        )
