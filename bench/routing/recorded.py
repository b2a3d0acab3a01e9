"""Recorded outcomes as the bench reads them: labels to learn from, prompts to be judged on, answers on asking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyarrow import parquet

from bench.score_routing import PER_TOKEN_USD, held_out
from services.router.judge.agreement import Answer
from services.training.outcomes import Outcomes, assembled

_PROMPT = ["id", "prompt", "in_tok"]


@dataclass(frozen=True, slots=True)
class Prompt:
    """All that a prediction is made from."""

    id: str
    text: str
    in_tokens: int


@dataclass
class Answers:
    """What each model answered, told only when it is asked; every call is logged. The only way to an answer."""

    _rows: Mapping[str, Mapping[str, Any]]
    calls: list[tuple[str, str]] = field(default_factory=list)

    def ask(self, prompt: Prompt, model: str) -> Answer:
        """The recorded answer of a model."""
        self.calls.append((prompt.id, model))
        row = self._rows[prompt.id]
        answer, tokens = row.get(f"a__{model}"), row.get(f"o__{model}")
        return Answer(None if answer is None else str(answer), int(tokens or 0))


def names(train: Path, test: Path) -> list[str]:
    """The sets that are in both folders."""
    found = [
        {path.stem for path in folder.glob("*.parquet") if not path.stem.endswith("_responses")}
        for folder in (train, test)
    ]
    return sorted(found[0] & found[1])


def learned_from(folder: Path, name: str, *, inner: bool, split: int = 0) -> tuple[Outcomes, tuple[str, ...]]:
    """(the outcomes of the training part, the data set of each row); `inner`: without the rows kept for the test."""
    table = parquet.read_table(folder / f"{name}.parquet")
    models = _models(table.column_names)
    rows = [row for row in _rows(table) if not (inner and held_out(row["id"], split))]
    made = [
        {
            "id": row["id"],
            "prompt": row["prompt"],
            "task": row["task"],
            "in_tokens": row["in_tok"],
            "models": {model: _result(row, model) for model in models},
        }
        for row in rows
    ]
    return assembled(made), tuple(row["dataset"] for row in rows)


def asked(folder: Path, name: str, *, inner: bool, split: int = 0) -> tuple[list[Prompt], Answers]:
    """(the test prompts, their recorded answers). No label column is read."""
    file = folder / f"{name}.parquet"
    columns = parquet.read_schema(file).names
    dropped = ["contaminated"] if "contaminated" in columns else []
    rows = [
        row
        for row in _rows(parquet.read_table(file, columns=_PROMPT + dropped))
        if not inner or held_out(row["id"], split)
    ]
    prompts = [Prompt(row["id"], row["prompt"], int(row["in_tok"])) for row in rows]
    said = [column for column in columns if column.startswith(("a__", "o__"))]
    answers = parquet.read_table(file, columns=["id", *said]).to_pylist() if said else []
    return prompts, Answers({row["id"]: row for row in answers})


def _rows(table: Any) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401 - pyarrow has no types
    for row in table.to_pylist():
        if not row.get("contaminated"):
            yield row


def _models(columns: Sequence[str]) -> list[str]:
    return [name.removeprefix("q__") for name in columns if name.startswith("q__")]


def _result(row: Mapping[str, Any], model: str) -> Mapping[str, Any]:
    usd = row.get(f"c__{model}")
    return {
        "quality": row[f"q__{model}"],
        "cost_usd": usd if usd is not None else PER_TOKEN_USD[model] * row["in_tok"],
        "answer": row.get(f"a__{model}"),
        "out_tokens": row.get(f"o__{model}"),
    }
