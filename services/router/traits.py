"""What planning asks of a model each time, read once from its message: messages are slow to read. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from omnisphere.model.v1 import model_pb2

_RESTING = model_pb2.Endpoint.STATE_RESTING


@dataclass(frozen=True, slots=True)
class Traits:
    """`regions`: the tags of each endpoint; none: it cannot be called. `prices`: USD per million tokens, in and out."""

    regions: tuple[frozenset[str], ...]
    resting: bool
    embeds: bool
    capabilities: frozenset[int]
    names: frozenset[str]
    prices: tuple[Decimal, Decimal] | None

    def list_price_nanousd(self, input_tokens: int, output_tokens: int) -> int | None:
        """As catalog.list_price() for fresh input and plain output, in 1e-9 USD; None: not priced."""
        if self.prices is None:
            return None
        fresh, output = self.prices
        return nanousd(fresh * input_tokens + output * output_tokens)


def traits_of(model: model_pb2.Model) -> Traits:
    """The traits of a model as it is listed."""
    prices = model.prices
    return Traits(
        regions=tuple(frozenset(endpoint.region_tags) for endpoint in model.endpoints),
        resting=all(endpoint.state == _RESTING for endpoint in model.endpoints),
        embeds=embeds(model),
        capabilities=frozenset(model.capabilities),
        names=frozenset((model.id, *model.aliases)),
        prices=(Decimal(prices.input_usd_per_mtok), Decimal(prices.output_usd_per_mtok))
        if model.HasField("prices")
        else None,
    )


def embeds(model: model_pb2.Model) -> bool:
    """Whether it turns texts into vectors, and answers no conversation."""
    return model_pb2.CAPABILITY_EMBEDDINGS in model.capabilities


def nanousd(usd_per_million: Decimal) -> int:
    """USD per million tokens times tokens, in 1e-9 USD."""
    return int((usd_per_million * 1_000).to_integral_value(ROUND_HALF_EVEN))
