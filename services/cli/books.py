"""Compares two books that know nothing of each other: what providers counted, and what the simulator served."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections import Counter
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

_INPUT = ("input_uncached", "input_cache_read", "input_cache_write")


@dataclass(frozen=True, slots=True)
class Book:
    """What one side says of one model. Tokens and cost are those of answers that came whole, empty ones among them."""

    requests: int
    input_tokens: int
    output_tokens: int
    cost_nanousd: int


async def simulator_books(port: int) -> dict[str, Book]:
    """What the simulator served, by model."""
    document = json.loads(await _get(f"http://127.0.0.1:{port}/books"))
    return {
        model: Book(row["requests"], row["input_tokens"], row["output_tokens"], row["cost_nanousd"])
        for model, row in document["models"].items()
        if row["requests"]
    }


async def providers_books(metrics_port: int) -> dict[str, Book]:
    """What the providers service counted, by model."""
    counts: dict[str, Counter[str]] = {}
    for family in text_string_to_metric_families(await _get(f"http://127.0.0.1:{metrics_port}/metrics")):
        for sample in family.samples:
            mine = counts.setdefault(sample.labels.get("model", ""), Counter())
            value = int(sample.value)
            match sample.name:
                case "omnisphere_providers_attempts_total":
                    mine["requests"] += value
                case "omnisphere_providers_tokens_total" if sample.labels["source"] == "reported":
                    mine["input" if sample.labels["class"] in _INPUT else "output"] += value
                case "omnisphere_providers_cost_nanousd_total" if sample.labels["source"] == "reported":
                    mine["cost"] += value
    return {
        model: Book(mine["requests"], mine["input"], mine["output"], mine["cost"])
        for model, mine in counts.items()
        if mine["requests"]
    }


def differences(ours: dict[str, Book], theirs: dict[str, Book]) -> list[str]:
    """One line per model on which the books differ."""
    return [
        f"{model}: providers say {ours.get(model)}, the simulator says {theirs.get(model)}"
        for model in sorted(ours.keys() | theirs.keys())
        if ours.get(model) != theirs.get(model)
    ]


async def _get(url: str) -> str:
    def fetch() -> str:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - our own loopback address
            text: str = response.read().decode()
            return text

    return await asyncio.to_thread(fetch)
