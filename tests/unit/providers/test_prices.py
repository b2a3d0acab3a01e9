"""List prices: exact, and the quick way equal to genai-prices' own."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage as GenaiUsage
from genai_prices import data_snapshot
from genai_prices.types import TieredPrices

from omnisphere.chat.v1 import chat_pb2
from services.providers.endpoints import shipped
from services.providers.prices import ListPrice, look_up

DATES = [
    datetime(2025, 9, 1, 3, 0, tzinfo=UTC),
    datetime(2026, 6, 15, 17, 0, tzinfo=UTC),  # some prices depend on the time of day
    datetime(2026, 12, 31, 23, 59, tzinfo=UTC),
]
USAGES = [
    chat_pb2.Usage(),
    chat_pb2.Usage(input_uncached_tokens=1),
    chat_pb2.Usage(input_uncached_tokens=1_000, output_tokens=333, reasoning_tokens=7),
    chat_pb2.Usage(input_uncached_tokens=17, input_cache_read_tokens=1_003, output_tokens=1),
    chat_pb2.Usage(input_cache_read_tokens=5, input_cache_write_tokens=11, reasoning_tokens=3),
    # Above every step of the tiered ones.
    chat_pb2.Usage(input_uncached_tokens=900_001, input_cache_read_tokens=50_000, output_tokens=60_001),
    chat_pb2.Usage(input_uncached_tokens=199_999, input_cache_write_tokens=2, output_tokens=9),
]


def callable_models() -> list[tuple[str, str]]:
    """(price provider, own name) of every model that answers at every vendor that serves it."""
    files = shipped()
    pairs = []
    for vendor in files.vendors:
        own = {row.id: row.id for row in files.models if row.vendor == vendor.name and not row.embeds}
        pairs += [(vendor.price_provider, name) for name in (vendor.serves or own).values()]
    return pairs


def own_calculation(provider: str, model: str, usage: chat_pb2.Usage, at: datetime) -> Decimal:
    """What genai-prices says itself."""
    found, info = data_snapshot.get_snapshot().find_provider_model(model, None, provider, None)
    read, written = usage.input_cache_read_tokens, usage.input_cache_write_tokens
    counted = GenaiUsage(
        input_tokens=usage.input_uncached_tokens + read + written,
        cache_read_tokens=read,
        cache_write_tokens=written,
        output_tokens=usage.output_tokens + usage.reasoning_tokens,
    )
    return info.calc_price(counted, found, genai_request_timestamp=at).total_price


@pytest.mark.parametrize(("provider", "model"), callable_models())
def test_every_price_equals_the_price_books_own_calculation(provider, model):
    price = look_up(provider, model)
    assert price is not None
    for at in DATES:
        for usage in USAGES:
            assert price.usd(usage, at) == own_calculation(provider, model, usage, at), (at, usage)


@pytest.mark.parametrize("model", ["text-embedding-3-small", "text-embedding-3-large"])
def test_a_model_without_output_has_a_price_of_its_input_alone(model):
    assert look_up("openai", model) is None
    price = look_up("openai", model, input_only=True)
    assert price is not None
    usage = chat_pb2.Usage(input_uncached_tokens=1_234_567)
    assert price.usd(usage, DATES[1]) == own_calculation("openai", model, usage, DATES[1])
    assert price.listed().output_usd_per_mtok == "0"


def test_a_price_that_depends_on_the_size_says_so_and_shows_that_of_a_small_request():
    price = look_up("google", "gemini-3.1-pro-preview")
    assert price is not None
    listed = price.listed()
    assert listed.tiered
    small, large = (chat_pb2.Usage(input_uncached_tokens=count) for count in (1_000, 1_000_000))
    assert price.usd(small, DATES[2]) == Decimal(listed.input_usd_per_mtok) / 1_000
    assert price.usd(large, DATES[2]) > Decimal(listed.input_usd_per_mtok)
    flat = look_up("openai", "gpt-5")
    assert flat is not None
    assert not flat.listed().tiered


@pytest.mark.parametrize(("provider", "model"), callable_models())
def test_the_listed_texts_are_the_price_books_figures(provider, model):
    price = look_up(provider, model)
    assert price is not None
    listed = price.listed()
    _, info = data_snapshot.get_snapshot().find_provider_model(model, None, provider, None)
    figures = info.get_prices(datetime.now(UTC))
    for text, figure in (
        (listed.input_usd_per_mtok, figures.input_mtok),
        (listed.output_usd_per_mtok, figures.output_mtok),
        (listed.cache_read_usd_per_mtok, figures.cache_read_mtok or figures.input_mtok),
        (listed.cache_write_usd_per_mtok, figures.cache_write_mtok or figures.input_mtok),
    ):
        base = figure.base if isinstance(figure, TieredPrices) else figure
        assert Decimal(text) == base
        assert "E" not in text.upper()
    assert listed.source.startswith("genai-prices ")


@pytest.mark.parametrize(
    ("provider", "model"), [("openai", "no-such-model"), ("no-such-provider", "gpt-5"), ("", "gpt-5"), ("openai", "")]
)
def test_what_is_not_in_the_book_has_no_price(provider, model):
    assert look_up(provider, model) is None


def test_a_stated_price_keeps_its_text():
    price = ListPrice.of("0.10", "1E-7", "0.000", source="configuration", as_of=date(2026, 11, 1))
    listed = price.listed()
    assert (listed.input_usd_per_mtok, listed.output_usd_per_mtok) == ("0.10", "0.0000001")
    assert (listed.cache_read_usd_per_mtok, listed.cache_write_usd_per_mtok) == ("0.000", "0.10")
    assert (listed.source, listed.as_of, listed.tiered) == ("configuration", "2026-11-01", False)


@pytest.mark.parametrize("wrong", ["", "free", "-1", "nan", "inf", "1,5", "$1"])
def test_text_that_is_no_price_is_refused(wrong):
    with pytest.raises(ValueError, match="is not a price"):
        ListPrice.of("1", wrong, source="configuration")
    with pytest.raises(ValueError, match="is not a price"):
        ListPrice.of(wrong, "1", source="configuration")
