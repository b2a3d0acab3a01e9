"""What training knows: predicted quality of a prompt's answer, per column (a model, or a tier). Pure, immutable.

    quality = P(task | words) x table of tasks and columns
            + what the words and counts say beyond that, along the few directions in which columns differ:
              half from a linear model, half from trees, each direction weighed by how well it was foretold in training

A direction that could not be foretold out of sample weighs nothing: the noise of many columns would otherwise choose.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from services.router.quality.features import NAMES, Floats, Reading
from services.router.quality.text import TextHead, text_head
from services.router.quality.trees import Forest, forest

# How far, in standard deviations, a feature of the linear model may lie.
_FARTHEST = 4.0
# Trees read so many of the coordinates.
TREE_PLACES = 32
# No prediction is surer than this.
_SUREST = 0.995


@dataclass(frozen=True, slots=True)
class Residual:
    """What lies beyond the table. `directions` [k, columns]; `centre`, `scale` [linear features] standardise."""

    centre: Floats
    scale: Floats
    linear: Floats  # [linear features + 1, k], the last row is the constant
    trees: Forest
    weights: Floats  # [k]
    directions: Floats
    level: Floats  # [columns]
    # Half of each direction, as it weighs.
    _halves: Floats = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_halves", self.weights[:, None] * 0.5 * self.directions)

    def of(self, cheap: Floats, places: Floats, tasks: Floats) -> Floats:
        """What to add to the table's quality [columns]."""
        standard = (np.concatenate((cheap, places, tasks)) - self.centre) / self.scale
        np.minimum(np.maximum(standard, -_FARTHEST, out=standard), _FARTHEST, out=standard)
        linear = standard.dot(self.linear[:-1]) + self.linear[-1]
        trees = self.trees.scores(tree_row(cheap, places, tasks))
        added: Floats = self.level + (linear + trees).dot(self._halves)
        return added


@dataclass(frozen=True, slots=True)
class Estimator:
    """`table` [tasks, columns] is (prior x 10 + sum of qualities) / (10 + number) over training."""

    tasks: tuple[str, ...]
    columns: tuple[str, ...]
    head: TextHead
    table: Floats
    residual: Residual
    slopes: Floats  # [columns]: of the calibration, on log-odds
    offsets: Floats  # [columns]

    def estimate(self, reading: Reading) -> tuple[Floats, Floats, Floats]:
        """(probability of each task, coordinates among the prompts of training, quality of each column)."""
        tasks, places = self.head.place(reading)
        raw = tasks.dot(self.table) + self.residual.of(reading.cheap, places, tasks)
        return tasks, places, calibrated(raw, self.slopes, self.offsets)

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What an artefact keeps of it."""
        beyond = self.residual
        return {
            "tasks": np.array(self.tasks),
            "columns": np.array(self.columns),
            **self.head.arrays(),
            "table": self.table,
            "centre": beyond.centre,
            "scale": beyond.scale,
            "linear": beyond.linear,
            "weights": beyond.weights,
            "directions": beyond.directions,
            "level": beyond.level,
            "slopes": self.slopes,
            "offsets": self.offsets,
            **beyond.trees.arrays("beyond"),
        }


def tree_row(cheap: Floats, places: Floats, tasks: Floats) -> npt.NDArray[np.float32]:
    """The features of the trees, of one prompt."""
    return np.concatenate((cheap, places[:TREE_PLACES], tasks)).astype(np.float32)


def clipped(quality: Floats) -> Floats:
    """Qualities within (0, 1)."""
    return np.minimum(np.maximum(quality, 1 - _SUREST), _SUREST)


def log_odds(quality: Floats) -> Floats:
    """Log-odds of qualities, which are clipped."""
    inside = clipped(quality)
    odds: Floats = np.log(inside / (1 - inside))
    return odds


def calibrated(raw: Floats, slopes: Floats, offsets: Floats) -> Floats:
    """Platt's scaling of raw qualities [..., columns]."""
    return clipped(1 / (1 + np.exp(-(slopes * log_odds(raw) + offsets))))


def estimator(arrays: Mapping[str, npt.NDArray[np.generic]]) -> Estimator:
    """The estimator that an artefact keeps. Raises ValueError."""
    tasks = tuple(str(name) for name in arrays["tasks"].tolist())
    columns = tuple(str(name) for name in arrays["columns"].tolist())
    head = text_head(arrays)
    places = head.heads.shape[1] - len(tasks)
    numbers = {
        name: arrays[name].astype(np.float64)
        for name in ("table", "centre", "scale", "linear", "weights", "directions", "level", "slopes", "offsets")
    }
    linear, directions = len(NAMES) + places + len(tasks), len(numbers["weights"])
    shapes = {
        "table": (len(tasks), len(columns)),
        "centre": (linear,),
        "scale": (linear,),
        "linear": (linear + 1, directions),
        "directions": (directions, len(columns)),
        "level": (len(columns),),
        "slopes": (len(columns),),
        "offsets": (len(columns),),
    }
    for name, shape in shapes.items():
        if numbers[name].shape != shape or not np.isfinite(numbers[name]).all():
            raise ValueError(f"{name} does not fit: {numbers[name].shape}, not {shape}, or not finite")
    if len(head.intercepts) != len(tasks) or (numbers["scale"] <= 0).any():
        raise ValueError("tasks or scales do not fit")
    trees = forest(arrays, "beyond", len(NAMES) + min(TREE_PLACES, places) + len(tasks))
    if len(trees.firsts) != directions:
        raise ValueError("trees and directions do not fit")
    residual = Residual(
        numbers["centre"],
        numbers["scale"],
        numbers["linear"],
        trees,
        numbers["weights"],
        numbers["directions"],
        numbers["level"],
    )
    return Estimator(tasks, columns, head, numbers["table"], residual, numbers["slopes"], numbers["offsets"])
