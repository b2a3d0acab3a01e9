"""Recorded outcomes: prompts, and what some models' answers to them were worth and cost; JSON lines or parquet.

    JSON lines: {"id", "prompt", "task", "in_tokens"?, "models": {name: RESULT}},
        RESULT {"quality", "cost_usd"?, "answer"?, "out_tokens"?}
    parquet: columns id, prompt, task, in_tok?, and per model q__NAME, c__NAME?, a__NAME?, o__NAME?

Every problem of a file is told with its row; nothing is guessed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_BYTES_PER_TOKEN = 4


class OutcomesUnusable(Exception):
    """The file cannot be learned from; the text says what is wrong, and where."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """n prompts, m models. `quality` [n, m] in [0, 1], `usd` [n, m] >= 0: NaN where unknown. `answers` [n][m]: short
    forms, None where there is none; `out_tokens` [n, m]; both None where no row has any.
    """

    ids: tuple[str, ...]
    prompts: tuple[str, ...]
    tasks: tuple[str, ...]
    in_tokens: Floats
    models: tuple[str, ...]
    quality: Floats
    usd: Floats
    answers: tuple[tuple[str | None, ...], ...] | None = None
    out_tokens: Floats | None = None

    def __post_init__(self) -> None:
        """Refuses numbers outside their ranges."""
        known = self.quality[~np.isnan(self.quality)]
        if not len(known):
            raise OutcomesUnusable("no quality is known")
        if not ((known >= 0) & (known <= 1)).all():
            raise OutcomesUnusable("a quality lies outside [0, 1]")
        if not np.isfinite(self.in_tokens).all() or (self.usd[~np.isnan(self.usd)] < 0).any():
            raise OutcomesUnusable("a length is not a number, or a cost is below zero")

    def only(self, rows: npt.NDArray[np.int64]) -> Outcomes:
        """The given rows, in their order."""
        return Outcomes(
            tuple(self.ids[row] for row in rows),
            tuple(self.prompts[row] for row in rows),
            tuple(self.tasks[row] for row in rows),
            self.in_tokens[rows],
            self.models,
            self.quality[rows],
            self.usd[rows],
            None if self.answers is None else tuple(self.answers[row] for row in rows),
            None if self.out_tokens is None else self.out_tokens[rows],
        )


def read(path: Path) -> Outcomes:
    """The outcomes of a file, by the ending of its name. Raises OutcomesUnusable."""
    if not path.is_file():
        raise OutcomesUnusable(f"{path.name}: no such file")
    rows = list(_parquet(path) if path.suffix == ".parquet" else _lines(path))
    if not rows:
        raise OutcomesUnusable(f"{path.name}: no rows")
    return assembled(rows)


def assembled(rows: Sequence[Mapping[str, Any]]) -> Outcomes:
    """Outcomes of rows in the form of a JSON line. Raises OutcomesUnusable."""
    models = tuple(dict.fromkeys(model for row in rows for model in row["models"]))
    shape = (len(rows), len(models))
    quality, usd, out_tokens = np.full(shape, np.nan), np.full(shape, np.nan), np.full(shape, np.nan)
    answers: list[tuple[str | None, ...]] = []
    any_answer = False
    if "" in models:
        raise OutcomesUnusable("a model has no name")
    for number, row in enumerate(rows):
        _text(row["prompt"], number, "prompt")
        _text(row.get("task") or "", number, "task")
        said: list[str | None] = []
        for place, model in enumerate(models):
            result = row["models"].get(model) or {}
            if not isinstance(result, Mapping):
                raise OutcomesUnusable(f'row {number + 1}: what {model} did is no object such as {{"quality": 1}}')
            quality[number, place] = _number(result.get("quality"), number, "quality", most=1)
            usd[number, place] = _number(result.get("cost_usd"), number, "cost_usd")
            out_tokens[number, place] = _number(result.get("out_tokens"), number, "out_tokens")
            answer = result.get("answer")
            said.append(None if answer is None else _text(str(answer), number, "answer"))
        any_answer = any_answer or any(one is not None for one in said)
        answers.append(tuple(said))
    return Outcomes(
        tuple(str(row.get("id", number)) for number, row in enumerate(rows)),
        tuple(row["prompt"] for row in rows),
        tuple(row.get("task") or "" for row in rows),
        np.array([_in_tokens(row, number) for number, row in enumerate(rows)]),
        models,
        quality,
        usd,
        tuple(answers) if any_answer else None,
        out_tokens if not np.isnan(out_tokens).all() else None,
    )


def _text(value: object, row: int, name: str) -> str:
    try:
        if isinstance(value, str):
            value.encode()  # half a surrogate pair is no text
            return value
    except UnicodeEncodeError:
        pass
    raise OutcomesUnusable(f"row {row + 1}: {name} is no text")


def _number(value: object, row: int, name: str, *, most: float = math.inf) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not np.isfinite(value):
        raise OutcomesUnusable(f"row {row + 1}: {name} is no number")
    if not 0 <= value <= most:
        raise OutcomesUnusable(f"row {row + 1}: {name} is " + ("below 0" if value < 0 else f"above {most:g}"))
    return float(value)


def _in_tokens(row: Mapping[str, Any], number: int) -> float:
    if row.get("in_tokens") is None:
        return float(-(-len(row["prompt"].encode()) // _BYTES_PER_TOKEN))
    return _number(row["in_tokens"], number, "in_tokens")


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as failure:  # also of bytes that are no text, and of endless brackets
                raise OutcomesUnusable(f"{path.name}:{number}: no JSON") from failure
            if not isinstance(row, dict) or not isinstance(row.get("models"), dict) or "prompt" not in row:
                raise OutcomesUnusable(f"{path.name}:{number}: no prompt, or no models")
            yield row


def _parquet(path: Path) -> Iterator[Mapping[str, Any]]:
    from pyarrow import ArrowException, parquet

    try:
        table = parquet.read_table(path)
    except (ArrowException, OSError) as failure:
        raise OutcomesUnusable(f"{path.name}: no parquet") from failure
    models = [name.removeprefix("q__") for name in table.column_names if name.startswith("q__")]
    if not models or "prompt" not in table.column_names:
        raise OutcomesUnusable(f"{path.name}: no column prompt, or none that begins with q__")
    for row in table.to_pylist():
        if row.get("contaminated"):
            continue
        yield {
            "id": row.get("id"),
            "prompt": row["prompt"],
            "task": row.get("task"),
            "in_tokens": row.get("in_tok"),
            "models": {
                model: {
                    "quality": row.get(f"q__{model}"),
                    "cost_usd": row.get(f"c__{model}"),
                    "answer": row.get(f"a__{model}"),
                    "out_tokens": row.get(f"o__{model}"),
                }
                for model in models
            },
        }
