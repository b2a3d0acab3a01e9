"""Of a prompt's words: which task it probably is, and where it lies among the prompts of training. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from services.router.quality.features import BUCKET_BITS, Floats, Reading


@dataclass(frozen=True, slots=True)
class TextHead:
    """`buckets` [v] rising are the terms it knows, `idf` [v] their weights; `heads` [v, tasks + places] the columns."""

    buckets: npt.NDArray[np.uint32]
    idf: npt.NDArray[np.float32]
    heads: npt.NDArray[np.float32]
    intercepts: Floats
    _slots: npt.NDArray[np.int32] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        slots = np.full(1 << BUCKET_BITS, -1, np.int32)
        slots[self.buckets] = np.arange(len(self.buckets), dtype=np.int32)
        object.__setattr__(self, "_slots", slots)

    def place(self, reading: Reading) -> tuple[Floats, Floats]:
        """(probability of each task [tasks], coordinates [places])."""
        slots = self._slots.take(reading.buckets)
        known = (slots >= 0).nonzero()[0]
        slots = slots.take(known)
        weights = reading.weights.take(known) * self.idf.take(slots)
        length = math.sqrt(weights.dot(weights)) or 1.0
        found = (weights.dot(self.heads.take(slots, axis=0)) / length).astype(np.float64)
        tasks = len(self.intercepts)
        return softmax(found[:tasks] + self.intercepts), found[tasks:]

    def arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """What an artefact keeps of it."""
        return {
            "buckets": self.buckets,
            "idf": self.idf.astype(np.float16),
            "heads": self.heads.astype(np.float16),
            "intercepts": self.intercepts,
        }


def text_head(arrays: Mapping[str, npt.NDArray[np.generic]]) -> TextHead:
    """The head that an artefact keeps. Raises ValueError."""
    buckets, idf = arrays["buckets"].astype(np.uint32), arrays["idf"].astype(np.float32)
    heads, intercepts = arrays["heads"].astype(np.float32), arrays["intercepts"].astype(np.float64)
    if not (
        heads.ndim == 2
        and buckets.shape == idf.shape == heads.shape[:1]
        and heads.shape[1] >= len(intercepts) > 0
        and bool((np.diff(buckets.astype(np.int64)) > 0).all())
        and (not len(buckets) or int(buckets[-1]) < 1 << BUCKET_BITS)
        and bool(np.isfinite(heads).all() and np.isfinite(idf).all() and np.isfinite(intercepts).all())
    ):
        raise ValueError("the terms do not fit together")
    return TextHead(buckets, idf, heads, intercepts)


def softmax(scores: Floats) -> Floats:
    """Probabilities of scores [n], or of rows of scores."""
    raised = np.exp(scores - np.maximum.reduce(scores, axis=-1, keepdims=True))
    shares: Floats = raised / np.add.reduce(raised, axis=-1, keepdims=True)
    return shares
