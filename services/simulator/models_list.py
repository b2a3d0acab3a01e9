"""The fleet as GET /v1/models lists it, with prices as exact decimal text."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from services.simulator.fleet import Model

# A fixed date of birth keeps the list the same from run to run.
_CREATED = 1_767_225_600
_MILLION_DIGITS = 6


def models_list(models: Iterable[Model]) -> dict[str, object]:
    """OpenAI's list object, with OpenRouter's context_length and pricing in each row."""
    return {"object": "list", "data": [_row(model) for model in models]}


def usd_per_token(usd_per_million: Decimal) -> str:
    """A price per token as plain decimal text: no exponent, no zeros at the end."""
    text = format(usd_per_million.scaleb(-_MILLION_DIGITS), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _row(model: Model) -> dict[str, object]:
    pricing = {
        "prompt": usd_per_token(model.price.input),
        "completion": usd_per_token(model.price.output),
    }
    if model.price.cache_read is not None:
        pricing["input_cache_read"] = usd_per_token(model.price.cache_read)
    row: dict[str, object] = {
        "id": model.id,
        "object": "model",
        "created": _CREATED,
        "owned_by": model.vendor,
        "context_length": model.window,
        "simulated": True,
        "simulated_format": model.format,
        "pricing": pricing,
    }
    return row | {"dimensions": model.dimensions} if model.dimensions else row
