"""A small set of recorded outcomes, made by the tests themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Said:
    """One answer; its cost is price x tokens where none is given."""

    text: str
    short: str
    quality: float
    tokens: int
    usd: float | None = None


@dataclass(frozen=True)
class Row:
    """One prompt, and its answers by model."""

    id: str
    prompt: str
    task: str
    said: Mapping[str, Said]


def write(folder: Path, name: str, rows: list[Row], prices: Mapping[str, tuple[float, float]]) -> None:
    """NAME.parquet, NAME_responses.parquet and prices.json; the test is skipped where pyarrow is missing."""
    pa = pytest.importorskip("pyarrow", reason="recorded outcomes need pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table, texts = [], []
    for row in rows:
        in_tok = -(-len(row.prompt.encode()) // 4)
        made: dict[str, object] = {"id": row.id, "dataset": name, "task": row.task}
        made |= {"prompt": row.prompt, "in_tok": in_tok}
        for model, said in row.said.items():
            into, out = prices.get(model, (0.0, 0.0))
            made |= {
                f"q__{model}": said.quality,
                f"c__{model}": (in_tok * into + said.tokens * out) / 1e6 if said.usd is None else said.usd,
                f"o__{model}": said.tokens,
                f"a__{model}": said.short,
            }
        table.append(made)
        texts.append({"id": row.id, **{f"r__{model}": said.text for model, said in row.said.items()}})
    parquet.write_table(pa.Table.from_pylist(table), folder / f"{name}.parquet")
    parquet.write_table(pa.Table.from_pylist(texts), folder / f"{name}_responses.parquet")
    (folder / "prices.json").write_text(json.dumps({model: [*price, "L"] for model, price in prices.items()}))
