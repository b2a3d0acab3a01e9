"""The models that the router knows: names, prices, and how they stay fresh."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from omnisphere.chat.v1 import chat_pb2
from omnisphere.model.v1 import model_pb2
from services.chassis.errors import InvalidRequest, PeerUnavailable, UnknownModel
from services.router.catalog import Catalogue, CatalogueKeeper, list_price
from services.router.traits import traits_of
from tests.fakes.log import ReadableLog
from tests.fakes.peers import ScriptedProviders
from tests.unit.router.samples import fleet, model


def priced(**prices: str) -> model_pb2.Model:
    made = model_pb2.Model(id="m")
    for name, price in prices.items():
        setattr(made.prices, name, price)
    return made


def keeper(providers: ScriptedProviders, every: float = 3_600.0) -> tuple[CatalogueKeeper, ReadableLog]:
    log = ReadableLog()
    return CatalogueKeeper(providers, every=timedelta(seconds=every), log=log), log


def test_a_model_is_found_by_id_and_by_alias():
    catalogue = Catalogue((model("claude-sonnet-5-5", "claude-sonnet"), model("gpt-5")), "v1")
    assert catalogue.resolve("claude-sonnet").id == catalogue.resolve("claude-sonnet-5-5").id == "claude-sonnet-5-5"
    with pytest.raises(UnknownModel) as caught:
        catalogue.resolve("gpt-9")
    assert caught.value.metadata == {"name": "gpt-9", "known": "claude-sonnet,claude-sonnet-5-5,gpt-5"}


def test_a_model_answers_or_makes_vectors_and_is_refused_for_the_other():
    embedder = model("e-1", "e", can=(model_pb2.CAPABILITY_EMBEDDINGS,))
    catalogue = Catalogue((model("gpt-5"), embedder), "v1")
    assert (catalogue.answering("gpt-5").id, catalogue.embedding("e").id) == ("gpt-5", "e-1")
    for find, name in ((catalogue.answering, "e"), (catalogue.embedding, "gpt-5")):
        with pytest.raises(InvalidRequest) as caught:
            find(name)
        assert caught.value.metadata["field"] == "model"
    for find in (catalogue.answering, catalogue.embedding):
        with pytest.raises(UnknownModel):
            find("gpt-9")


def test_it_is_simulated_when_everything_that_can_be_called_is():
    real, fake, idle = model("a"), model("b", simulated=True), model("c", states=())
    assert Catalogue((fake, idle), "").simulated
    assert not Catalogue((fake, real), "").simulated
    assert not Catalogue((idle,), "").simulated
    assert not Catalogue((), "").simulated


def test_each_class_of_tokens_has_its_price_and_the_sum_is_rounded_once():
    prices = priced(
        input_usd_per_mtok="3", cache_read_usd_per_mtok="0.3", cache_write_usd_per_mtok="3.75", output_usd_per_mtok="15"
    )
    usage = chat_pb2.Usage(
        input_uncached_tokens=1_000,
        input_cache_read_tokens=100,
        input_cache_write_tokens=10,
        output_tokens=50,
        reasoning_tokens=7,
    )
    assert list_price(prices, usage) == chat_pb2.Cost(nanousd=3_000_000 + 30_000 + 37_500 + 855_000, priced=True)


def test_cached_tokens_without_a_price_of_their_own_cost_as_fresh_ones():
    usage = chat_pb2.Usage(input_cache_read_tokens=10, input_cache_write_tokens=10)
    assert list_price(priced(input_usd_per_mtok="3", output_usd_per_mtok="1"), usage).nanousd == 60_000


def test_a_cache_price_of_zero_is_a_price():
    usage = chat_pb2.Usage(input_cache_read_tokens=10)
    free = priced(input_usd_per_mtok="3", cache_read_usd_per_mtok="0", output_usd_per_mtok="1")
    assert list_price(free, usage).nanousd == 0


def test_half_a_unit_goes_to_the_even_side():
    half = priced(input_usd_per_mtok="0.0005", output_usd_per_mtok="0")
    assert [list_price(half, chat_pb2.Usage(input_uncached_tokens=n)).nanousd for n in (1, 3, 5)] == [0, 2, 2]


def test_without_prices_nothing_is_known():
    assert list_price(model_pb2.Model(id="m"), chat_pb2.Usage(output_tokens=9)) == chat_pb2.Cost(priced=False)


@given(
    some.decimals(0, 1_000, places=6),
    some.decimals(0, 1_000, places=6),
    some.integers(0, 10**7),
    some.integers(0, 10**7),
)
def test_a_price_is_the_exact_decimal_sum_and_planning_reckons_with_the_same(fresh, output, read, written):
    usage = chat_pb2.Usage(input_uncached_tokens=read, output_tokens=written)
    exact = (fresh * read + output * written) * 1_000
    asked = priced(input_usd_per_mtok=str(fresh), output_usd_per_mtok=str(output))
    nanousd = list_price(asked, usage).nanousd
    assert nanousd == int(exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
    planned = traits_of(asked).list_price_nanousd(read, written)
    assert planned is not None
    assert abs(planned - nanousd) <= 1


async def test_it_starts_with_what_the_providers_say_and_without_them_too():
    providers = ScriptedProviders(fleet())
    kept, _ = keeper(providers)
    await kept.start()
    assert (len(kept.current.models), kept.stale) == (3, False)
    await kept.stop()
    providers.failing = PeerUnavailable(peer="providers")
    lonely, _ = keeper(providers)
    await lonely.start()
    assert (lonely.current.models, lonely.stale) == ((), True)
    await lonely.stop()


async def test_a_failed_refresh_keeps_the_last_catalogue_and_is_logged_once():
    providers = ScriptedProviders(fleet())
    kept, log = keeper(providers)
    await kept._refresh(1.0)
    providers.failing = PeerUnavailable(peer="providers")
    for _ in range(3):
        await kept._refresh(1.0)
    assert (len(kept.current.models), kept.stale) == (3, True)
    assert [line["reason"] for line in log.events("catalogue_stale")] == ["PEER_UNAVAILABLE"]
    providers.failing = None
    await kept._refresh(1.0)
    assert not kept.stale


async def test_a_catalogue_that_did_not_change_is_not_sent_again():
    providers = ScriptedProviders(fleet())
    kept, log = keeper(providers)
    await kept._refresh(1.0)
    first = kept.current
    await kept._refresh(1.0)
    assert kept.current is first
    assert len(log.events("catalogue")) == 1


async def test_it_is_refreshed_in_the_background():
    providers = ScriptedProviders(fleet())
    kept, _ = keeper(providers, every=0.001)
    await kept.start()
    providers.models.append(model("new"))
    async with asyncio.timeout(2):
        while kept.current.find("new") is None:  # noqa: ASYNC110 - another task does it
            await asyncio.sleep(0.001)
    await kept.stop()


async def test_who_needs_a_catalogue_asks_for_it_when_there_is_none():
    providers = ScriptedProviders(fleet())
    kept, _ = keeper(providers)
    assert len((await kept.needed()).models) == 3
    assert len((await kept.needed()).models) == 3
    assert providers.listed == 1
    providers.failing = PeerUnavailable(peer="providers")
    empty, _ = keeper(providers)
    with pytest.raises(PeerUnavailable) as caught:
        await empty.needed()
    assert caught.value.metadata == {"peer": "providers"}
