"""Vectors of texts: a pure function of model and text, of length one, and near for equal texts only."""

from __future__ import annotations

import hashlib
import math
import sys
from array import array

_BYTES = 2


def vector(text: str, model: str, whole: int, dimensions: int) -> array[float]:
    """32-bit floats: the first `dimensions` of the model's `whole`, stretched to length one again."""
    digest = hashlib.shake_256(f"{model}\0{text}".encode(errors="surrogatepass")).digest(whole * _BYTES)
    numbers = array("h", digest)
    if sys.byteorder == "big":
        numbers.byteswap()
    kept = numbers[:dimensions]
    # Half a step up: no number is zero, so every beginning of a vector has a length.
    length = math.sqrt(sum((number + 0.5) ** 2 for number in kept))
    return array("f", [(number + 0.5) / length for number in kept])
