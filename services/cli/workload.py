"""The demo's workload: which requests are sent, and how each answer is checked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from omnisphere.chat.v1 import chat_pb2
from services.simulator.bank import Bank, Prompt, load_bank
from services.simulator.check import check

Kind = Literal["plain", "repeat", "rephrase", "near_miss", "chat", "stream", "bad"]


@dataclass(frozen=True, slots=True)
class Step:
    """One request of the workload. `tool_results` are handed back in the order in which the model calls."""

    kind: Kind
    prompt: Prompt | None
    text: str
    hint: str
    conversation: str
    tools: tuple[chat_pb2.Tool, ...]
    tool_results: tuple[str, ...]

    def is_right(self, answer: str) -> bool:
        """Whether the answer passes the prompt's own check."""
        return self.prompt is not None and check(answer, self.prompt.check)


def load_workload() -> list[Step]:
    """The bundled workload, in order."""
    bank = load_bank()
    text = resources.files("services.cli").joinpath("workload.jsonl").read_text(encoding="utf-8")
    return list(_steps(text, bank))


def _steps(text: str, bank: Bank) -> Iterator[Step]:
    for line in text.splitlines():
        row = json.loads(line)
        prompt = bank.by_id[row["prompt_id"]] if "prompt_id" in row else None
        asked = prompt.text if prompt is not None else ""
        if prompt is not None and row["kind"] == "rephrase":
            asked = prompt.rephrasings[row["rephrasing"]]
        yield Step(
            kind=row["kind"],
            prompt=prompt,
            text=asked,
            hint=row.get("hint", ""),
            conversation=row.get("conversation", ""),
            tools=tuple(_tool(tool["function"]) for tool in row.get("tools", ())),
            tool_results=tuple(result["content"] for result in row.get("tool_results", ())),
        )


def _tool(function: dict[str, object]) -> chat_pb2.Tool:
    return chat_pb2.Tool(
        name=str(function["name"]),
        description=str(function.get("description", "")),
        parameters_json=json.dumps(function["parameters"]) if "parameters" in function else "",
    )
