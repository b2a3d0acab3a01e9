"""Runs in the peers' own environment: trims the conversations of standard input, prints what each trimmer breaks."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

Messages = list[dict[str, Any]]
_MODEL = "gpt-4o"


def main() -> None:
    """One JSON object: by trimmer its cases, violations and what they were."""
    import litellm
    from langchain_core.messages import convert_to_messages, convert_to_openai_messages, trim_messages

    def count(messages: Messages) -> int:
        return int(litellm.token_counter(model=_MODEL, messages=messages))

    def by_litellm(messages: Messages, budget: int) -> Messages:
        return list(litellm.utils.trim_messages([dict(m) for m in messages], model=_MODEL, max_tokens=budget))

    def by_langchain(messages: Messages, budget: int, **more: Any) -> Messages:  # noqa: ANN401
        trimmed = trim_messages(
            convert_to_messages(messages),
            max_tokens=budget,
            token_counter=lambda some: count(convert_to_openai_messages(some)),
            strategy="last",
            **more,
        )
        return list(convert_to_openai_messages(trimmed))

    def by_langchain_with_care(messages: Messages, budget: int) -> Messages:
        return by_langchain(messages, budget, include_system=True, start_on="human")

    trimmers: dict[str, Callable[[Messages, int], Messages]] = {
        f"litellm {version('litellm')} trim_messages": by_litellm,
        f"langchain {version('langchain-core')} defaults": by_langchain,
        f"langchain {version('langchain-core')} system+human": by_langchain_with_care,
    }
    rows = [json.loads(line) for line in sys.stdin if line.strip()]
    print(json.dumps({name: _judged(trim, rows, count) for name, trim in trimmers.items()}))


def _judged(
    trim: Callable[[Messages, int], Messages], rows: list[dict[str, Any]], count: Callable[[Messages], int]
) -> dict[str, Any]:
    broken: Counter[str] = Counter()
    for row in rows:
        budget = max(2, int(count(row["messages"]) * row["share"]))
        if count(_least(row["messages"])) > budget:
            continue  # nobody could
        try:
            broken.update(_broken(row["messages"], trim(row["messages"], budget), budget, count))
        except Exception as failure:
            broken[f"raised {type(failure).__name__}"] += 1
    return {"cases": len(rows), "violations": sum(broken.values()), "broken": dict(broken)}


def _broken(given: Messages, kept: Messages, budget: int, count: Callable[[Messages], int]) -> list[str]:
    found = []
    if count(kept) > budget:
        found.append("budget")
    if [_said(m) for m in kept if m["role"] == "system"] != [_said(m) for m in given if m["role"] == "system"]:
        found.append("system")
    asked = [_said(m) for m in given if m["role"] == "user"]
    if not any(m["role"] == "user" and _said(m) == asked[-1] for m in kept):
        found.append("question")
    calls = {call["id"] for m in kept for call in m.get("tool_calls") or ()}
    results = {m["tool_call_id"] for m in kept if m["role"] == "tool"}
    known = {call["id"] for m in given for call in m.get("tool_calls") or ()}
    answered = {m["tool_call_id"] for m in given if m["role"] == "tool"}
    if (results & known) - calls or (calls & answered) - results:
        found.append("tools")
    return found


def _least(messages: Messages) -> Messages:
    last = max(place for place, m in enumerate(messages) if m["role"] == "user")
    return [m for place, m in enumerate(messages) if m["role"] == "system" or place >= last]


def _said(message: dict[str, Any]) -> str:
    content = message.get("content")
    return content if isinstance(content, str) else json.dumps(content)


if __name__ == "__main__":
    main()
