"""What an attempt costs: exact, rounded once, unpriced is not zero."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisphere.chat.v1 import chat_pb2
from services.providers import meter
from services.providers.prices import ListPrice

NOW = datetime(2026, 11, 1, tzinfo=UTC)
CLASSES = (
    "input_uncached_tokens",
    "input_cache_read_tokens",
    "input_cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
)


def price(fresh: str, output: str, read: str = "", write: str = "") -> ListPrice:
    return ListPrice.of(fresh, output, read, write, source="test")


def used(**tokens: int) -> chat_pb2.Usage:
    usage = chat_pb2.Usage()
    for name, count in tokens.items():
        setattr(usage, name, count)
    return usage


@pytest.mark.parametrize(
    ("usd_per_mtok", "tokens", "nanousd"),
    [
        ("0.0005", 1, 0),  # half a nano-dollar: to even
        ("0.0005", 3, 2),  # one and a half
        ("0.0005", 5, 2),  # two and a half
        ("0.00050001", 1, 1),
        ("0.00049999", 1, 0),
        ("1.25", 1, 1250),
        ("0", 1_000_000, 0),
    ],
)
def test_halves_are_rounded_to_even(usd_per_mtok, tokens, nanousd):
    found = meter.cost(chat_pb2.Usage(input_uncached_tokens=tokens), price(usd_per_mtok, "0"), NOW)
    assert (found.nanousd, found.priced) == (nanousd, True)


def test_the_sum_is_rounded_and_not_its_parts():
    usage = chat_pb2.Usage(input_uncached_tokens=1, input_cache_read_tokens=1, output_tokens=1, reasoning_tokens=1)
    assert meter.cost(usage, price("0.0004", "0.0004", "0.0004"), NOW).nanousd == 2  # each alone would be 0


def test_each_class_has_its_own_price_and_reasoning_that_of_output():
    rates = price("1", "100", "0.01", "10")
    costs = [meter.cost(used(**{name: 1}), rates, NOW).nanousd for name in CLASSES]
    assert costs == [1_000, 10, 10_000, 100_000, 100_000]
    everything = used(**dict.fromkeys(CLASSES, 1))
    assert meter.cost(everything, rates, NOW).nanousd == sum(costs)


def test_a_missing_cache_price_is_that_of_fresh_input():
    usage = chat_pb2.Usage(input_cache_read_tokens=3, input_cache_write_tokens=5)
    assert meter.cost(usage, price("2", "9"), NOW).nanousd == 16_000


def test_without_a_price_tokens_are_unpriced_and_nothing_is_free():
    for name in CLASSES:
        assert meter.cost(used(**{name: 1}), None, NOW) == chat_pb2.Cost(nanousd=0, priced=False)
    assert meter.cost(chat_pb2.Usage(), None, NOW) == chat_pb2.Cost(nanousd=0, priced=True)


def test_a_price_of_zero_is_a_price():
    assert meter.cost(chat_pb2.Usage(output_tokens=9), price("0", "0"), NOW) == chat_pb2.Cost(priced=True)


def test_an_estimate_says_so_and_rounds_up():
    assert meter.estimated(5, 8) == chat_pb2.Usage(input_uncached_tokens=2, output_tokens=2, estimated=True)
    assert meter.estimated(1, 0) == chat_pb2.Usage(input_uncached_tokens=1, estimated=True)
    assert not meter.any_tokens(meter.estimated(0, 0))


RATES = st.decimals(min_value=0, max_value=1000, places=8).map(lambda value: f"{value:f}")
COUNTS = st.integers(0, 10**9)


@given(st.tuples(RATES, RATES, RATES, RATES), st.tuples(COUNTS, COUNTS, COUNTS, COUNTS, COUNTS))
def test_the_cost_is_the_exact_sum_rounded_once(rates, counts):
    fresh, output, read, write = rates
    uncached, cached, written, answered, thought = counts
    usage = used(**dict(zip(CLASSES, counts, strict=True)))
    found = meter.cost(usage, price(*rates), NOW)
    with localcontext(Context(prec=80)):
        exact = (
            Decimal(fresh) * uncached
            + Decimal(read) * cached
            + Decimal(write) * written
            + Decimal(output) * (answered + thought)
        ) * 1000
        assert found.nanousd == int(exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
