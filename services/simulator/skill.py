"""Who answers what rightly, and how a wrong answer looks: decided by hashes, never by chance."""

from __future__ import annotations

import hashlib
import re

from services.simulator.bank import Prompt
from services.simulator.fleet import Model

_BASE = {"easy": 0.25, "medium": 0.55, "hard": 0.8}
_JITTER = 0.15
_REPEATS = 5
_FLAWS = ("empty", "refusal", "cut", "repeated")
_REFUSAL = "I'm sorry, but I can't help with that request."


def difficulty(prompt: Prompt) -> float:
    """What skill the prompt asks for: its level, and up to 0.15 either way by its id."""
    share = _hash(prompt.id) / 2**64
    return _BASE[prompt.level] + _JITTER * (2 * share - 1)


def is_right(model: Model, prompt: Prompt) -> bool:
    """Does this model answer this prompt rightly?"""
    return model.skill[prompt.task] >= difficulty(prompt)


def spoken_answer(model: Model, prompt: Prompt) -> tuple[str, str]:
    """The text that the model gives for the prompt, and its finish reason.

    Two of three wrong answers are fluent, so that simple rules let them pass; the third is
    empty, a refusal, cut off or stuck in a loop.
    """
    if is_right(model, prompt):
        return prompt.right, "stop"
    draw = _hash(f"{model.id}\n{prompt.id}")
    kind, draw = draw % 3, draw // 3
    fluent = prompt.wrong[draw % len(prompt.wrong)]
    if kind < 2:
        return fluent, "stop"
    return flawed(fluent, _FLAWS[draw // len(prompt.wrong) % len(_FLAWS)])


def flawed(fluent: str, flaw: str) -> tuple[str, str]:
    """A wrong answer spoilt so that simple rules can see it, and its finish reason."""
    if flaw == "empty":
        return "", "stop"
    if flaw == "refusal":
        return _REFUSAL, "stop"
    if flaw == "cut":
        words = fluent.split(" ")
        return " ".join(words[: max(1, len(words) * 3 // 5)]), "length"
    sentence = re.split(r"(?<=[.!?])\s", fluent, maxsplit=1)[0]
    return " ".join([sentence] * _REPEATS), "stop"


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
