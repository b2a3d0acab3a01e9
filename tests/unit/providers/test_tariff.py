"""The operator's prices hold from their day on, by the size of the request, and before them the list price."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from omnisphere.chat.v1 import chat_pb2
from services.chassis.errors import Unpriced
from services.chassis.settings import StartError
from services.providers import operator_file
from services.providers.endpoints import Directory, Endpoint, shipped
from services.providers.pricing import Pricing
from services.providers.tariff import PriceOverride, PriceRow, Tariff
from tests.unit.providers.samples import model_row

LONG, SHORT = 300_000, 1_000


def row(fresh: str, since: str = "", above: int = 0, **more: str) -> PriceRow:
    return PriceRow(input_usd_per_mtok=fresh, output_usd_per_mtok="0", since=since, above_input_tokens=above, **more)


def usd(tariff: Tariff, day: str, tokens: int = 1_000_000) -> Decimal | None:
    at = datetime.fromisoformat(day).replace(tzinfo=UTC)
    return tariff.usd(chat_pb2.Usage(input_uncached_tokens=tokens), at)


def test_each_price_holds_from_its_day_on_and_the_list_price_before():
    before = row("9").price()
    tariff = Tariff([row("2", "2026-03-01"), row("1", "2026-06-01")], before)
    days = ("2026-02-28", "2026-03-01", "2026-05-31", "2026-06-01", "2027-01-01")
    assert [usd(tariff, day) for day in days] == [9, 2, 2, 1, 1]
    assert usd(Tariff([row("2", "2026-03-01")]), "2026-02-28") is None


def test_large_requests_have_a_price_of_their_own_counted_over_all_classes_of_input():
    tariff = Tariff([row("1"), row("2", above=200_000), row("4", above=400_000)])
    assert [usd(tariff, "2026-03-01", tokens) for tokens in (200_000, 200_001, 500_000)] == [
        Decimal("0.2"),
        Decimal("0.400002"),
        Decimal(2),
    ]
    mixed = chat_pb2.Usage(input_uncached_tokens=1, input_cache_read_tokens=100_000, input_cache_write_tokens=100_000)
    assert tariff.usd(mixed, datetime(2026, 3, 1, tzinfo=UTC)) == Decimal("0.400002")
    assert tariff.listed().tiered
    assert tariff.listed().input_usd_per_mtok == "1"


def test_a_newer_flat_price_ends_the_older_tiers():
    tariff = Tariff([row("1"), row("2", above=200_000), row("3", "2026-06-01")])
    assert usd(tariff, "2026-06-01", 1_000_000) == 3
    assert not tariff.listed().tiered


def test_reasoning_may_cost_other_than_output():
    priced = PriceRow(input_usd_per_mtok="0", output_usd_per_mtok="2", reasoning_usd_per_mtok="5").price()
    used = chat_pb2.Usage(output_tokens=1_000_000, reasoning_tokens=1_000_000)
    assert priced.usd(used, datetime(2026, 3, 1, tzinfo=UTC)) == 7
    assert priced.listed().reasoning_usd_per_mtok == "5"


ENDPOINT = Endpoint(name="e", base_url="http://h", serves={"gpt-5": "gpt-5", "mine": "mine"}, price_provider="openai")
MODELS = (*shipped().models, model_row("mine"))


def test_an_override_says_where_it_comes_from_and_may_be_of_one_endpoint_alone():
    everywhere = PriceOverride(model="gpt-5", input_usd_per_mtok="7", output_usd_per_mtok="8", source="contract")
    here = PriceOverride(model="gpt-5", endpoint="e", input_usd_per_mtok="1", output_usd_per_mtok="2")
    at = datetime(2026, 3, 1, tzinfo=UTC)
    used = chat_pb2.Usage(input_uncached_tokens=1_000_000)
    for overrides, price, source in (((everywhere,), 7, "contract"), ((everywhere, here), 1, "configuration")):
        directory = Directory(MODELS, (ENDPOINT,), {}, overrides)
        found = directory.price("gpt-5", ENDPOINT)
        assert found is not None
        assert found.usd(used, at) == price
        assert next(model for model in directory.listed if model.id == "gpt-5").prices.source == source


def test_a_model_without_a_price_is_refused_guessed_or_let_through_as_the_operator_chose():
    directory = Directory(MODELS, (ENDPOINT,), shipped().price_providers)
    assert Pricing("allow").price(directory, "mine", ENDPOINT) is None
    guess = Pricing("estimate").price(directory, "mine", ENDPOINT)
    assert guess is not None
    assert not guess.known
    nano = directory.price("gpt-5", ENDPOINT)
    assert nano is not None
    assert Pricing("estimate").price(directory, "gpt-5", ENDPOINT) is nano
    with pytest.raises(Unpriced) as refused:
        Pricing("refuse").endpoints(directory, "mine")
    assert refused.value.metadata == {"model": "mine"}
    assert Pricing("refuse").endpoints(directory, "gpt-5") == [ENDPOINT]


def test_a_price_of_an_unknown_model_or_day_is_refused_with_its_place(tmp_path: Path):
    path = tmp_path / "providers.toml"
    path.write_text('[[price]]\nmodel = "gpt-99"\ninput_usd_per_mtok = "1"\noutput_usd_per_mtok = "2"\n')
    with pytest.raises(StartError, match=r"price\[0\]\.model: 'gpt-99' is no id of the catalogue"):
        operator_file.read(path, shipped())
    path.write_text(
        '[[price]]\nmodel = "gpt-5"\ninput_usd_per_mtok = "1"\noutput_usd_per_mtok = "2"\nsince = "yesterday"\n'
    )
    with pytest.raises(StartError, match=r"price\[0\]: since must be a day, as 2026-01-31"):
        operator_file.read(path, shipped())
