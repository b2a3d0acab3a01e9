"""How a model gets its own thoughts back: each vendor has another field for them, most have none."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Target
from services.providers.adapters.json_text import Json
from services.providers.adapters.lost import Lost
from services.providers.adapters.openai_chat.details import echoed


class Echo:
    """The thoughts of one assistant turn. A target without a quirk for them gets none, which is said."""

    def __init__(self, target: Target, lost: Lost) -> None:
        self._target = target
        self._lost = lost
        self._quirks = target.quirks
        self._texts: list[str] = []
        self._details: list[Json] = []

    def take(self, part: chat_pb2.Part, path: str) -> None:
        """One part of thoughts."""
        quirks = self._quirks
        own = self._lost.proof(part, self._target, path)
        if own and (detail := echoed(part) if "reasoning_details" in quirks else None):
            self._details.append(detail)
            return
        if own:
            self._lost.signature(f"{path}.signature")
        if part.reasoning.text and quirks & {"reasoning_content", "reasoning_details", "thinking_content"}:
            self._texts.append(part.reasoning.text)
        else:
            self._lost.content(path, part)

    def into(self, message: Json) -> Json:
        """The turn with its thoughts."""
        text = "".join(self._texts)
        if self._details:
            message["reasoning_details"] = self._details
        elif text and "reasoning_details" in self._quirks:
            message["reasoning"] = text
        elif text and "thinking_content" in self._quirks:
            thinking = {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
            said = [{"type": "text", "text": message["content"]}] if message.get("content") else []
            message["content"] = [thinking, *said]
        elif text:
            message["reasoning_content"] = text
        return message
