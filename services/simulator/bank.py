"""The bundled prompts with their checks and answers: read, checked and looked up by text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from services.simulator import check
from services.simulator.tasks import TASKS

BUNDLED_BANK = Path(__file__).with_name("bank")
LEVELS = ("easy", "medium", "hard")

_NEEDED = frozenset({"id", "task", "prompt", "check", "right", "wrong", "level"})
_OPTIONAL = frozenset({"rephrasings", "tool", "near_miss_of"})
_FEWEST_WRONG = 2


class BankError(ValueError):
    """A bank file cannot be used; the text names the file, the line and the problem."""


@dataclass(frozen=True, slots=True)
class BankCall:
    """A tool call that belongs to the right way to answer; `arguments` is JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question whose answer can be checked."""

    id: str
    task: str
    text: str
    check: Mapping[str, object]
    right: str
    wrong: tuple[str, ...]
    level: str
    rephrasings: tuple[str, ...] = ()
    calls: tuple[BankCall, ...] = ()
    near_miss_of: str | None = None


@dataclass(frozen=True, slots=True)
class Bank:
    """All prompts, by id and by normalised text."""

    by_id: Mapping[str, Prompt]
    by_text: Mapping[str, Prompt]

    def find(self, text: str) -> Prompt | None:
        """The prompt that this text asks, in its own words or in a known rephrasing."""
        return self.by_text.get(normalised(text))


def normalised(text: str) -> str:
    """A text with every run of white space as one space."""
    return " ".join(text.split())


def load_bank(folder: Path = BUNDLED_BANK) -> Bank:
    """Read every <task>.jsonl of the folder; raise BankError on the first problem."""
    prompts: list[Prompt] = []
    for task in TASKS:
        path = folder / f"{task}.jsonl"
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except OSError as error:
            raise BankError(f"{path}: cannot be read ({error.strerror})") from error
        for number, line in enumerate(lines, start=1):
            if line.strip():
                prompts.append(_read(line, task, f"{path}:{number}"))
    return _indexed(prompts)


def _indexed(prompts: Iterable[Prompt]) -> Bank:
    by_id: dict[str, Prompt] = {}
    by_text: dict[str, Prompt] = {}
    for prompt in prompts:
        if prompt.id in by_id:
            raise BankError(f"{prompt.id}: the id is used twice")
        by_id[prompt.id] = prompt
        for text in (prompt.text, *prompt.rephrasings):
            key = normalised(text)
            if key in by_text:
                raise BankError(f"{prompt.id}: {by_text[key].id} asks the same text")
            by_text[key] = prompt
    return Bank(by_id, by_text)


def _read(line: str, task: str, where: str) -> Prompt:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise BankError(f"{where}: not valid JSON ({error})") from error
    trouble = _trouble(row, task)
    if trouble:
        raise BankError(f"{where}: {trouble}")
    return Prompt(
        id=row["id"],
        task=row["task"],
        text=row["prompt"],
        check=row["check"],
        right=row["right"],
        wrong=tuple(row["wrong"]),
        level=row["level"],
        rephrasings=tuple(row.get("rephrasings", ())),
        calls=_calls(row.get("tool", [])),
        near_miss_of=row.get("near_miss_of"),
    )


def _trouble(row: object, task: str) -> str | None:
    """What is wrong with a row, or None."""
    if not isinstance(row, dict):
        return "not an object"
    missing, unknown = _NEEDED - row.keys(), row.keys() - _NEEDED - _OPTIONAL
    if missing or unknown:
        return f"missing keys {sorted(missing)}, unknown keys {sorted(unknown)}"
    if row["task"] != task:
        return f"task {row['task']!r} does not belong in this file"
    if row["level"] not in LEVELS:
        return f"level {row['level']!r} is none of {', '.join(LEVELS)}"
    if not all(isinstance(row[key], str) and row[key] for key in ("id", "prompt", "right")):
        return "id, prompt and right must be texts"
    if not _are_texts(row["wrong"]) or len(row["wrong"]) < _FEWEST_WRONG:
        return f"wrong must hold at least {_FEWEST_WRONG} texts"
    if not _are_texts(row.get("rephrasings", [])):
        return "rephrasings must be a list of texts"
    if not all(_is_call(call) for call in _as_list(row.get("tool", []))):
        return "tool must have a name and arguments"
    return check.problem(row["check"]) if isinstance(row["check"], dict) else "check is no object"


def _calls(value: object) -> tuple[BankCall, ...]:
    return tuple(
        BankCall(call["name"], json.dumps(call["arguments"], ensure_ascii=False))
        for call in _as_list(value)
        if isinstance(call, dict)
    )


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _is_call(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("name"), str) and isinstance(value.get("arguments"), dict)


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) and text for text in value)
