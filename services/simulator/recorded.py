"""Recorded outcomes as a fleet: the models of a set, and what each of them once answered to a prompt.

    NAME.parquet            id, prompt, in_tok, and per model c__MODEL (USD), o__MODEL (tokens of output)
    NAME_responses.parquet  id, and per model r__MODEL, the text; a model without such a column is not served
    prices.json             {MODEL: [USD per million tokens in, out, ...]}; there need not be one

Where the recorded cost is price x tokens, the price is stated and every cost is right to the nano-dollar. Elsewhere the
price is fitted to the recorded costs: their sum over the set is right, a single one is not.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from services.chassis.settings import StartError
from services.simulator.fitted_price import Paid, fitted, is_exact
from services.simulator.fleet import Model, Price

_RESPONSES = "_responses"
# Nothing of these is recorded.
_WINDOW = 131_072
_FIRST_TOKEN_MS, _TOKENS_PER_SECOND = 400.0, 100.0


@dataclass(frozen=True, slots=True)
class Said:
    """A recorded answer; `tokens` of output, None where they were not counted."""

    text: str
    tokens: int | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A recorded prompt: its tokens, and the answers by model."""

    tokens: int
    said: Mapping[str, Said]


@dataclass(frozen=True, slots=True)
class Recorded:
    """A set. `prompts` by their text, verbatim; `fitted`: the models whose price is no listed one."""

    name: str
    models: Mapping[str, Model]
    prompts: Mapping[str, Asked]
    fitted: frozenset[str]


def read_recorded(folder: Path, name: str = "") -> Recorded:
    """The set of that name, or the only one of the folder. Raises StartError."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise StartError('recorded outcomes are read with pyarrow: pip install "omnisphere[training]"') from None
    chosen = _chosen(folder, name)
    try:
        rows = parquet.read_table(folder / f"{chosen}.parquet").to_pylist()
        texts = parquet.read_table(folder / f"{chosen}{_RESPONSES}.parquet")
        listed = _listed(folder / "prices.json")
        models = [column.removeprefix("r__") for column in texts.column_names if column.startswith("r__")]
        responses = {row["id"]: row for row in texts.to_pylist()}
        return _assembled(chosen, rows, responses, models, listed)
    except (OSError, ArrowException, KeyError, TypeError, ValueError, ArithmeticError) as failure:
        raise StartError(f"{folder / chosen}.parquet: cannot be used as recorded outcomes ({failure})") from failure


def _chosen(folder: Path, name: str) -> str:
    found = sorted(path.name.removesuffix(".parquet") for path in folder.glob("*.parquet"))
    sets = [one for one in found if f"{one}{_RESPONSES}" in found]
    if not sets:
        raise StartError(f"{folder}: no recorded outcomes with answers: NAME.parquet, NAME{_RESPONSES}.parquet")
    if name and name not in sets:
        raise StartError(f"{folder}: no set {name} with answers; there are {', '.join(sets)}")
    if not name and len(sets) > 1:
        raise StartError(f"{folder}: several sets, one must be named: {', '.join(sets)}")
    return name or sets[0]


def _listed(path: Path) -> Mapping[str, Price]:
    """The price list beside the sets; none: nothing is listed."""
    if not path.exists():
        return {}
    document = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    return {model: Price(Decimal(row[0]), None, Decimal(row[1])) for model, row in document.items()}


def _assembled(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    responses: Mapping[str, Mapping[str, Any]],
    models: Sequence[str],
    listed: Mapping[str, Price],
) -> Recorded:
    prompts = {}
    for row in rows:
        texts = responses.get(row["id"], {})
        said = {
            model: Said(text, None if (tokens := row.get(f"o__{model}")) is None else int(tokens))
            for model in models
            if (text := texts.get(f"r__{model}")) is not None
        }
        prompts[str(row["prompt"])] = Asked(int(row["in_tok"]), said)
    served, unlisted = {}, set()
    for model in models:
        paid = _paid(rows, model)
        price = listed.get(model)
        if price is None or not is_exact(price, paid):
            price = fitted(paid)
            if price is None:
                raise ValueError(f"{model} has neither a price nor costs")
            if not is_exact(price, paid):
                unlisted.add(model)
        served[model] = Model(model, "recorded", "small", price, _FIRST_TOKEN_MS, _TOKENS_PER_SECOND, _WINDOW, {})
    return Recorded(name, served, prompts, frozenset(unlisted))


def _paid(rows: Sequence[Mapping[str, Any]], model: str) -> list[Paid]:
    costs = ((row["in_tok"], row.get(f"o__{model}"), row.get(f"c__{model}")) for row in rows)
    return [
        Paid(int(size), int(tokens), float(usd))
        for size, tokens, usd in costs
        if tokens is not None and usd is not None
    ]
