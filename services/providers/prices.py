"""What a token costs: list prices as exact decimals, from genai-prices, an endpoint or the operator.

genai-prices never updates itself here: its own data, of the installed version, decides.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from fractions import Fraction
from functools import lru_cache
from importlib.metadata import version
from typing import Protocol

from genai_prices import Usage as GenaiUsage
from genai_prices import data_snapshot
from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

from omnisphere.chat.v1 import chat_pb2
from omnisphere.model.v1 import model_pb2

_MILLION = Decimal(1_000_000)
# What a USD per million tokens is per token.
_NANO_PER_MTOK = 1_000


class Price(Protocol):
    """What the tokens of one attempt cost. `known` is false where it is a guess of ours."""

    @property
    def known(self) -> bool:
        """Whether somebody states it."""

    def usd(self, usage: chat_pb2.Usage, at: datetime) -> Decimal | None:
        """The exact cost in USD, not rounded; None: not known. `at` is when the attempt went out: prices change."""

    def nanousd(self, usage: chat_pb2.Usage, at: datetime) -> int | None:
        """The same in nano-dollars, rounded half-even once."""

    def listed(self, at: datetime | None = None) -> model_pb2.Prices:
        """The price of a small request as the catalogue shows it; None: now."""


@dataclass(frozen=True, slots=True)
class ListPrice:
    """A flat price per token class, in USD per million tokens."""

    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal
    reasoning: Decimal
    source: str
    as_of: str
    known: bool = True
    # The figures above in whole parts of a nano-dollar per token, and how many such parts a nano-dollar has.
    _parts: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _scale: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        figures = (self.input, self.cache_read, self.cache_write, self.output, self.reasoning)
        exact = [Fraction(figure) * _NANO_PER_MTOK for figure in figures]
        scale = math.lcm(*(figure.denominator for figure in exact))
        object.__setattr__(self, "_scale", scale)
        object.__setattr__(self, "_parts", tuple(int(figure * scale) for figure in exact))

    @classmethod
    def of(
        cls,
        input_mtok: str,
        output_mtok: str,
        cache_read_mtok: str = "",
        cache_write_mtok: str = "",
        reasoning_mtok: str = "",
        *,
        source: str,
        as_of: date | None = None,
    ) -> ListPrice:
        """From decimal text; an empty cache price is that of fresh input, one of reasoning that of output.

        Raises ValueError for what is no price.
        """
        fresh, output = _decimal(input_mtok), _decimal(output_mtok)
        return cls(
            input=fresh,
            output=output,
            reasoning=_decimal(reasoning_mtok) if reasoning_mtok else output,
            cache_read=_decimal(cache_read_mtok) if cache_read_mtok else fresh,
            cache_write=_decimal(cache_write_mtok) if cache_write_mtok else fresh,
            source=source,
            as_of=as_of.isoformat() if as_of else "",
        )

    def usd(self, usage: chat_pb2.Usage, at: datetime) -> Decimal:  # noqa: ARG002 - a flat price has no date
        """The sum over the disjoint token classes."""
        total = (
            self.input * usage.input_uncached_tokens
            + self.cache_read * usage.input_cache_read_tokens
            + self.cache_write * usage.input_cache_write_tokens
            + self.output * usage.output_tokens
            + self.reasoning * usage.reasoning_tokens
        )
        return total / _MILLION

    def nanousd(self, usage: chat_pb2.Usage, at: datetime) -> int:  # noqa: ARG002 - a flat price has no date
        """The same in whole numbers all the way: a tenth of what decimals cost."""
        fresh, read, write, output, reasoning = self._parts
        parts = (
            fresh * usage.input_uncached_tokens
            + read * usage.input_cache_read_tokens
            + write * usage.input_cache_write_tokens
            + output * usage.output_tokens
            + reasoning * usage.reasoning_tokens
        )
        whole, rest = divmod(parts, self._scale)
        return whole + (2 * rest > self._scale or (2 * rest == self._scale and whole % 2))

    def listed(self, at: datetime | None = None) -> model_pb2.Prices:  # noqa: ARG002 - a flat price has no date
        """All figures."""
        return model_pb2.Prices(
            input_usd_per_mtok=f"{self.input:f}",
            cache_read_usd_per_mtok=f"{self.cache_read:f}",
            cache_write_usd_per_mtok=f"{self.cache_write:f}",
            output_usd_per_mtok=f"{self.output:f}",
            reasoning_usd_per_mtok="" if self.reasoning == self.output else f"{self.reasoning:f}",
            source=self.source,
            as_of=self.as_of,
        )


class GenaiPrice:
    """A price of genai-prices: may depend on the date, the time of day and the size of the request."""

    known = True

    def __init__(self, info: ModelInfo, source: str, *, input_only: bool = False) -> None:
        self._info = info
        self._source = source
        self._input_only = input_only
        self._last: tuple[ModelPrice, ListPrice | None] | None = None

    def nanousd(self, usage: chat_pb2.Usage, at: datetime) -> int:
        """The same, rounded."""
        flat = self._flat(self._info.get_prices(at))
        return flat.nanousd(usage, at) if flat is not None else rounded(self.usd(usage, at))

    def usd(self, usage: chat_pb2.Usage, at: datetime) -> Decimal:
        """The sum over the token classes at the price of that moment."""
        price = self._info.get_prices(at)
        flat = self._flat(price)
        if flat is not None:
            return flat.usd(usage, at)
        fresh, read, write = (
            usage.input_uncached_tokens,
            usage.input_cache_read_tokens,
            usage.input_cache_write_tokens,
        )
        counted = GenaiUsage(
            input_tokens=fresh + read + write,
            cache_read_tokens=read,
            cache_write_tokens=write,
            output_tokens=usage.output_tokens + usage.reasoning_tokens,
        )
        return price.calc_price(counted)["total_price"]

    def listed(self, at: datetime | None = None) -> model_pb2.Prices:
        """The figures of that moment."""
        now = at or datetime.now(UTC)
        price = self._info.get_prices(now)
        flat = self._flat(price)
        output = _base(price, "output_mtok") or Decimal(0)
        shown = flat or ListPrice(
            input=_base(price, "input_mtok") or Decimal(0),
            output=output,
            reasoning=output,
            cache_read=_base(price, "cache_read_mtok", "input_mtok") or Decimal(0),
            cache_write=_base(price, "cache_write_mtok", "input_mtok") or Decimal(0),
            source=self._source,
            as_of="",
        )
        listed = shown.listed()
        listed.as_of = now.date().isoformat()
        listed.tiered = flat is None
        return listed

    def _flat(self, price: ModelPrice) -> ListPrice | None:
        """The four figures where the price is flat: far cheaper to apply than the general rule, and equal to it."""
        if self._last is None or self._last[0] is not price:
            self._last = price, self._flattened(price)
        return self._last[1]

    def _flattened(self, price: ModelPrice) -> ListPrice | None:
        figures = [
            _figure(price, "input_mtok"),
            _figure(price, "output_mtok"),
            _figure(price, "cache_read_mtok", "input_mtok"),
            _figure(price, "cache_write_mtok", "input_mtok"),
        ]
        if self._input_only:  # most have no price of output, which is not the same as an unknown one
            figures[1] = Decimal(0)
        fresh, output, read, write = (figure if isinstance(figure, Decimal) else None for figure in figures)
        if fresh is None or output is None or read is None or write is None:
            return None
        return ListPrice(fresh, output, read, write, output, self._source, as_of="")


def rounded(usd: Decimal) -> int:
    """Nano-dollars, half to even."""
    return int((usd * 1_000_000_000).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def guessed(prices: Sequence[Price]) -> ListPrice:
    """The dearest of each figure of all of them, as a price that nobody states."""
    every = [price.listed() for price in prices]

    def dearest(*names: str) -> Decimal:
        figures = (getattr(listed, name) for listed in every for name in names)
        return max((Decimal(figure) for figure in figures if figure), default=Decimal(0))

    return ListPrice(
        input=dearest("input_usd_per_mtok"),
        output=dearest("output_usd_per_mtok"),
        cache_read=dearest("input_usd_per_mtok"),
        cache_write=dearest("input_usd_per_mtok", "cache_write_usd_per_mtok"),
        reasoning=dearest("output_usd_per_mtok", "reasoning_usd_per_mtok"),
        source="guess",
        as_of="",
        known=False,
    )


def is_known(provider: str) -> bool:
    """Whether genai-prices has a provider of this id."""
    try:
        data_snapshot.get_snapshot().find_provider(None, provider, None)
    except LookupError:
        return False
    return True


@lru_cache(maxsize=4096)
def look_up(provider: str, model: str, *, input_only: bool = False) -> GenaiPrice | None:
    """The price of a model at a provider, by genai-prices' ids; None: not known. `input_only`: it has no output."""
    if not provider:
        return None
    snapshot = data_snapshot.get_snapshot()
    try:
        _, info = snapshot.find_provider_model(model, None, provider, None)
        price = info.get_prices(datetime.now(UTC))
    except LookupError:
        return None
    if _base(price, "input_mtok") is None or (_base(price, "output_mtok") is None and not input_only):
        return None
    return GenaiPrice(info, f"genai-prices {version('genai-prices')}", input_only=input_only)


def _figure(price: ModelPrice, *names: str) -> Decimal | TieredPrices | None:
    """The figure of the first name that has one."""
    figures: list[Decimal | TieredPrices] = [
        figure for name in names if (figure := getattr(price, name, None)) is not None
    ]
    return figures[0] if figures else None


def _base(price: ModelPrice, *names: str) -> Decimal | None:
    """The same, for a small request."""
    figure = _figure(price, *names)
    return figure.base if isinstance(figure, TieredPrices) else figure


def _decimal(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text[:32]!r} is not a price") from None
    if not value.is_finite() or value < 0:
        raise ValueError(f"{text[:32]!r} is not a price")
    return value
