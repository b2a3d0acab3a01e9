"""OpenRouter's `reasoning_details`: thoughts with the proofs of whichever vendor made them, read and echoed.

    https://openrouter.ai/docs/use-cases/reasoning-tokens#preserving-reasoning-blocks

A detail is an object of a type with text, a summary or encrypted data, and its proof. It becomes one reasoning part
whose signature is the detail as JSON without its text, so that the echo has every field that the detail had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters.json_text import Json, compact, is_object, parsed_object
from services.providers.answer import Answer

_TEXTS = {"reasoning.text": "text", "reasoning.summary": "summary"}
_PROOFS = ("signature", "data")


class Details:
    """Reads details into an answer; a stream repeats a detail's index with more of it."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._seen: dict[str, Json] = {}

    def take(self, details: Sequence[Mapping[str, Any]]) -> bool:
        """Read them; whether they brought thoughts, so that no other field is looked at."""
        brought = False
        for detail in details:
            key = f"{detail.get('type')}#{detail.get('index')}"
            fields = self._seen.setdefault(key, {})
            words = _TEXTS.get(str(detail.get("type")), "")
            if any(detail.get(name) for name in _PROOFS):
                self._answer.begin("reasoning", key)
            for name, value in detail.items():
                if name == words and isinstance(value, str):
                    self._answer.reasoning(value, key)
                    brought = brought or bool(value)
                elif name in _PROOFS and isinstance(fields.get(name), str) and isinstance(value, str):
                    fields[name] += value
                elif value not in (None, ""):
                    fields[name] = value
        return brought

    def close(self) -> None:
        """The proofs are whole."""
        for key, fields in self._seen.items():
            if any(fields.get(name) for name in _PROOFS):
                self._answer.sign("reasoning", compact(fields), key)
        self._seen = {}


def echoed(part: chat_pb2.Part) -> Json | None:
    """The detail that a signed part was; None: its signature is of another form."""
    if not is_object(part.signature.value):
        return None
    detail = parsed_object(part.signature.value)
    words = _TEXTS.get(str(detail.get("type")))
    if words and part.reasoning.text:
        detail[words] = part.reasoning.text
    return detail if "type" in detail else None
