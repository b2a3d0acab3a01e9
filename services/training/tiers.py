"""Outcomes of many models as outcomes of tiers: the shipped artefact's models are not those of its users."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources

import numpy as np

from services.training.outcomes import Outcomes, OutcomesUnusable

# From weak to strong, as the catalogue names them.
TIERS = ("small", "medium", "large", "frontier")


@dataclass(frozen=True, slots=True)
class Tiers:
    """`models` of each tier, names of `tasks` that are put together, and the `sources` by the name of their file."""

    models: Mapping[str, Sequence[str]]
    tasks: Mapping[str, str]
    sources: Mapping[str, str]


def shipped() -> Tiers:
    """The tiers of this release."""
    text = resources.files("services.training").joinpath("tiers.toml").read_text()
    found = tomllib.loads(text)
    return Tiers(found["tiers"], found["tasks"], found["sources"])


def by_tier(outcomes: Outcomes, tiers: Tiers) -> Outcomes:
    """Quality of a tier: the mean of its models', unknown where it has none. Costs and answers are left out."""
    known = {model: tier for tier in TIERS for model in tiers.models[tier]}
    if not any(model in known for model in outcomes.models):
        raise OutcomesUnusable("none of its models is in any tier")
    quality = np.full((len(outcomes.ids), len(TIERS)), np.nan)
    for place, tier in enumerate(TIERS):
        columns = [number for number, model in enumerate(outcomes.models) if known.get(model) == tier]
        if columns:
            quality[:, place] = outcomes.quality[:, columns].mean(axis=1)
    return replace(
        outcomes,
        tasks=tuple(tiers.tasks.get(task, task) for task in outcomes.tasks),
        models=TIERS,
        quality=quality,
        usd=np.full(quality.shape, np.nan),
        answers=None,
        out_tokens=None,
    )


def together(parts: Sequence[Outcomes]) -> Outcomes:
    """All rows of several outcomes; what a part does not know of a model stays unknown."""
    models = tuple(dict.fromkeys(model for part in parts for model in part.models))
    places = [[models.index(model) for model in part.models] for part in parts]
    shape = (sum(len(part.ids) for part in parts), len(models))
    quality, usd = np.full(shape, np.nan), np.full(shape, np.nan)
    first = 0
    for part, columns in zip(parts, places, strict=True):
        rows = slice(first, first + len(part.ids))
        quality[rows, columns], usd[rows, columns] = part.quality, part.usd
        first = rows.stop
    if len(parts) == 1:
        return parts[0]
    return Outcomes(
        tuple(name for part in parts for name in part.ids),
        tuple(text for part in parts for text in part.prompts),
        tuple(task for part in parts for task in part.tasks),
        np.concatenate([part.in_tokens for part in parts]),
        models,
        quality,
        usd,
    )
