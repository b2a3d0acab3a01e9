"""Prices that the operator states: from a day on, and for requests above a size; the first of each kind that holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from omnisphere.chat.v1 import chat_pb2
from omnisphere.model.v1 import model_pb2
from services.providers.prices import ListPrice, Price


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceRow:
    """One price, USD per million tokens as decimal text.

    `since`: the first day on which it holds (UTC); empty: always. `above_input_tokens`: for requests with more input,
    of all classes together. A cache price that is empty is that of fresh input, one of reasoning that of output.
    """

    input_usd_per_mtok: str
    output_usd_per_mtok: str
    cache_read_usd_per_mtok: str = ""
    cache_write_usd_per_mtok: str = ""
    reasoning_usd_per_mtok: str = ""
    since: str = ""
    above_input_tokens: int = 0
    source: str = "configuration"

    @property
    def first_day(self) -> date:
        """The first day on which it holds."""
        return date.fromisoformat(self.since) if self.since else date.min

    def price(self) -> ListPrice:
        """The figures as the meter uses them. Raises ValueError for text that is no price."""
        return ListPrice.of(
            self.input_usd_per_mtok,
            self.output_usd_per_mtok,
            self.cache_read_usd_per_mtok,
            self.cache_write_usd_per_mtok,
            self.reasoning_usd_per_mtok,
            source=self.source,
            as_of=self.first_day if self.since else None,
        )

    def __post_init__(self) -> None:
        try:
            _ = self.first_day
        except ValueError:
            raise ValueError("since must be a day, as 2026-01-31") from None
        self.price()
        if self.above_input_tokens < 0:
            raise ValueError("above_input_tokens must be 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceOverride(PriceRow):
    """A price of one model, at one endpoint or (empty) at all."""

    model: str
    endpoint: str = ""


class Tariff:
    """The operator's prices of one model. Before the first of them, and where there is none, `before` holds."""

    known = True

    def __init__(self, rows: Sequence[PriceRow], before: Price | None = None) -> None:
        ordered = sorted(rows, key=lambda row: (row.first_day, row.above_input_tokens), reverse=True)
        self._rows = [(row.first_day, row.above_input_tokens, row.price()) for row in ordered]
        self._before = before

    def usd(self, usage: chat_pb2.Usage, at: datetime) -> Decimal | None:
        """The exact cost at that moment; None: nothing is known of that time."""
        size = usage.input_uncached_tokens + usage.input_cache_read_tokens + usage.input_cache_write_tokens
        price = self._at(at.astimezone(UTC).date(), size)
        return price.usd(usage, at) if price is not None else None

    def nanousd(self, usage: chat_pb2.Usage, at: datetime) -> int | None:
        """The same, rounded."""
        size = usage.input_uncached_tokens + usage.input_cache_read_tokens + usage.input_cache_write_tokens
        price = self._at(at.astimezone(UTC).date(), size)
        return price.nanousd(usage, at) if price is not None else None

    def listed(self, at: datetime | None = None) -> model_pb2.Prices:
        """The figures of that day."""
        today = (at or datetime.now(UTC)).astimezone(UTC).date()
        price = self._at(today, 0)
        listed = price.listed(at) if price is not None else model_pb2.Prices()
        newest = max((day for day, _, _ in self._rows if day <= today), default=None)
        listed.tiered |= any(above for day, above, _ in self._rows if day == newest)
        return listed

    def _at(self, day: date, size: int) -> Price | None:
        """The newest row whose day has come, of the largest size that the request is above."""
        for first, above, price in self._rows:
            if first <= day and (size > above or not above):
                return price
        return self._before
