"""Read a request for vectors and write its answer, as OpenAI does: numbers, or base64 of little-endian floats."""

from __future__ import annotations

import base64
import sys
from array import array
from collections.abc import Mapping
from dataclasses import dataclass

from services.simulator.api_error import ApiError, Refused, context_too_long, invalid
from services.simulator.fleet import Model
from services.simulator.tokens import count_text
from services.simulator.vectors import vector

_MOST_TEXTS = 2_048
# Enough to tell any two 32-bit floats apart.
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class EmbeddingsRequest:
    """Texts, and how their vectors are wanted."""

    texts: tuple[str, ...]
    dimensions: int
    as_base64: bool

    @property
    def prompt_tokens(self) -> int:
        """Tokens of all texts."""
        return sum(count_text(text) for text in self.texts)


def read_embeddings(document: Mapping[str, object], model: Model) -> EmbeddingsRequest:
    """The request, or Refused with the parameter that is wrong."""
    if not model.dimensions:
        raise Refused(ApiError(403, "You are not allowed to generate embeddings from this model"))
    wanted = document.get("encoding_format")
    if wanted not in (None, "float", "base64"):
        problem = "expected one of 'float' or 'base64'"
        raise invalid(f"Invalid value for 'encoding_format': {problem}.", "encoding_format", "invalid_value")
    texts = _texts(document.get("input"))
    longest = max(count_text(text) for text in texts)
    if longest > model.window:
        raise Refused(context_too_long(longest, model.window))
    return EmbeddingsRequest(texts, _dimensions(document.get("dimensions"), model), wanted == "base64")


def embeddings(request: EmbeddingsRequest, model: Model) -> dict[str, object]:
    """The body of the answer."""
    rows = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _written(
                vector(text, model.id, model.dimensions, request.dimensions), as_base64=request.as_base64
            ),
        }
        for index, text in enumerate(request.texts)
    ]
    tokens = request.prompt_tokens
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": rows, "model": model.id, "usage": usage}


def _texts(value: object) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts:
        raise invalid("'input' must be a string or an array of strings.", "input", "invalid_type")
    if len(texts) > _MOST_TEXTS:
        raise invalid(f"'input' may have at most {_MOST_TEXTS} items.", "input", "array_above_max_length")
    found = tuple(text for text in texts if isinstance(text, str) and text)
    if len(found) != len(texts):
        raise invalid("'$.input' is invalid: every item must be a non-empty string.", "input")
    return found


def _dimensions(value: object, model: Model) -> int:
    if value is None:
        return model.dimensions
    if isinstance(value, bool) or not isinstance(value, int):
        raise invalid("Invalid type for 'dimensions': expected an integer.", "dimensions", "invalid_type")
    if value < 1:
        raise invalid(f"{value} is less than the minimum of 1 - 'dimensions'")
    if value > model.dimensions:
        problem = f"be less than or equal to {model.dimensions}"
        raise invalid(f"Invalid value for 'dimensions' = {value}. Must {problem}.", "dimensions")
    return value


def _written(floats: array[float], *, as_base64: bool) -> str | list[float]:
    if not as_base64:
        return [float(f"{value:.{_DIGITS}g}") for value in floats]
    little = array("f", floats)
    if sys.byteorder == "big":
        little.byteswap()
    return base64.b64encode(little.tobytes()).decode()
