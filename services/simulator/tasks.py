"""The seven task types and four tiers that the fleet and the bank are sorted by."""

from __future__ import annotations

TASKS: tuple[str, ...] = (
    "code_generation",
    "code_review",
    "summarization",
    "classification",
    "research",
    "simple_qa",
    "translation",
)
TIERS: tuple[str, ...] = ("small", "medium", "large", "frontier")
