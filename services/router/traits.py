"""What planning asks of a model each time, read once from its message: messages are slow to read. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import decision_pb2

_RESTING = model_pb2.Endpoint.STATE_RESTING
_Dropped = decision_pb2.Candidate.Dropped
# Prices are kept as whole numbers of 1e-9 USD per million tokens: what a request costs is then a float's work.
_PRICE_DIGITS = 9
_TOKENS = 10**6


@dataclass(frozen=True, slots=True)
class Traits:
    """`regions`: the tags of each endpoint. `unable`: why it can take no request at all; UNSPECIFIED: it can.

    `prices`: 1e-9 USD per million tokens, in and out.
    """

    regions: tuple[frozenset[str], ...]
    unable: _Dropped.ValueType
    embeds: bool
    capabilities: frozenset[int]
    names: frozenset[str]
    prices: tuple[int, int] | None

    def list_price_nanousd(self, input_tokens: int, output_tokens: int) -> int | None:
        """About catalog.list_price() of fresh input and plain output, in 1e-9 USD; None: not priced."""
        if self.prices is None:
            return None
        fresh, output = self.prices
        return round((fresh * input_tokens + output * output_tokens) / _TOKENS)


def traits_of(model: model_pb2.Model) -> Traits:
    """The traits of a model as it is listed."""
    prices = model.prices
    return Traits(
        regions=tuple(frozenset(endpoint.region_tags) for endpoint in model.endpoints),
        unable=_unable(model),
        embeds=embeds(model),
        capabilities=frozenset(model.capabilities),
        names=frozenset((model.id, *model.aliases)),
        prices=(_whole(prices.input_usd_per_mtok), _whole(prices.output_usd_per_mtok))
        if model.HasField("prices")
        else None,
    )


def _unable(model: model_pb2.Model) -> _Dropped.ValueType:
    if not model.endpoints:
        return _Dropped.DROPPED_NO_ENDPOINT
    if all(endpoint.state == _RESTING for endpoint in model.endpoints):
        return _Dropped.DROPPED_RESTING
    return _Dropped.DROPPED_CAPABILITY if embeds(model) else _Dropped.DROPPED_UNSPECIFIED


def _whole(usd_per_mtok: str) -> int:
    return round(Decimal(usd_per_mtok).scaleb(_PRICE_DIGITS))


def embeds(model: model_pb2.Model) -> bool:
    """Whether it turns texts into vectors, and answers no conversation."""
    return model_pb2.CAPABILITY_EMBEDDINGS in model.capabilities
