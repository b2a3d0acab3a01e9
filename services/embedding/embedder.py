"""The seam of embedding: one text in, one vector of unit length out."""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

# float32, shape (dimension,), unit length: the cosine of two of them is their dot product.
Vector: TypeAlias = npt.NDArray[np.float32]


class EmbedderDamaged(Exception):
    """A file of the model is not what it should be, or this machine computes it wrongly. The text says which."""


class Embedder(Protocol):
    """Turns texts into vectors. Threads may share it; `embed` blocks for milliseconds, so keep it off the event loop.

    A text's vector depends on the text alone, not on what was embedded before or beside it.
    """

    @property
    def dimension(self) -> int:
        """How many numbers a vector has."""

    @property
    def model_hash(self) -> str:
        """SHA-256 (hex) of what makes the vectors; those of two hashes cannot be compared."""

    def embed(self, text: str) -> Vector | None:
        """The text's vector; None where the text is longer than the model reads: it must not pass as read whole."""
