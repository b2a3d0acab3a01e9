"""Vectors as answers have them, to 32-bit floats."""

from __future__ import annotations

import base64
import math
import sys
from array import array
from collections.abc import Sequence

from services.providers.adapters import MalformedAnswer

_FLOAT_BYTES = 4
# The largest answer that fits a message of the mesh with room for its frame.
_MOST_VALUES = 31 * 1024 * 1024 // _FLOAT_BYTES


def vector(value: object) -> array[float]:
    """One vector, of at least one float, all of them finite: a list of numbers, or base64 of little-endian floats."""
    floats = array("f")
    try:
        if isinstance(value, str):
            floats.frombytes(base64.b64decode(value, validate=True))
            if sys.byteorder == "big":
                floats.byteswap()
        elif isinstance(value, list) and set(map(type, value)) <= {int, float}:
            floats.extend(value)
    except (ValueError, OverflowError):
        raise MalformedAnswer from None
    if not floats or not all(map(math.isfinite, floats)):
        raise MalformedAnswer
    return floats


def same_length(vectors: Sequence[array[float]], *, texts: int, dimensions: int | None) -> Sequence[array[float]]:
    """The vectors, one for each text, all as long as was asked. Raises MalformedAnswer for any others."""
    if not vectors:
        raise MalformedAnswer("empty")
    length = len(vectors[0])
    if len(vectors) != texts or any(len(each) != length for each in vectors):
        raise MalformedAnswer
    if dimensions is not None and length != dimensions:
        raise MalformedAnswer("dimensions")
    if length * texts > _MOST_VALUES:
        raise MalformedAnswer("too_large")
    return vectors
