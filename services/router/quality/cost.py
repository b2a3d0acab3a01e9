"""What a model's answer will probably cost: a line over the prompt's length, moved by what its task takes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from services.router.quality.features import Floats

# So many outcomes of a task weigh as much as knowing nothing of it.
_SHRINKAGE = 20.0


@dataclass(frozen=True, slots=True)
class CostModel:
    """USD per request [columns]: starts + slopes x tokens in + tasks @ extra, never below the least that was seen."""

    starts: Floats
    slopes: Floats
    extra: Floats  # [tasks, columns]
    least: Floats

    def expected(self, in_tokens: Floats | float, tasks: Floats) -> Floats:
        """USD of every column; of one prompt, or of rows of them (in_tokens [n, 1], tasks [n, tasks])."""
        usd: Floats = np.maximum(self.starts + self.slopes * in_tokens + tasks @ self.extra, self.least)
        return usd

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What an artefact keeps of it."""
        return {
            "cost_starts": self.starts,
            "cost_slopes": self.slopes,
            "cost_extra": self.extra,
            "cost_least": self.least,
        }


def fit_cost(in_tokens: Floats, tasks: Floats, usd: Floats) -> CostModel:
    """From tokens in [n], task of each row as 0 or 1 [n, tasks], and USD [n, columns] without gaps."""
    sides = np.stack([np.ones(len(in_tokens)), in_tokens], axis=1)
    line = np.linalg.lstsq(sides, usd, rcond=None)[0]
    least = usd.min(axis=0)
    base = np.maximum(sides @ line, least)
    extra = (tasks.T @ (usd - base)) / (tasks.sum(axis=0)[:, None] + _SHRINKAGE)
    return CostModel(line[0], line[1], extra, least)


def cost_model(arrays: Mapping[str, npt.NDArray[np.generic]], tasks: int, columns: int) -> CostModel:
    """The cost model that an artefact keeps. Raises ValueError."""
    found = CostModel(*(arrays[f"cost_{name}"].astype(np.float64) for name in ("starts", "slopes", "extra", "least")))
    for values, shape in (
        (found.starts, (columns,)),
        (found.slopes, (columns,)),
        (found.extra, (tasks, columns)),
        (found.least, (columns,)),
    ):
        if values.shape != shape or not np.isfinite(values).all():
            raise ValueError("the costs do not fit together")
    return found
