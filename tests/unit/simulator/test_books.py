"""The books agree to the nano-dollar with a calculation by hand."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from itertools import cycle, islice
from typing import Any

from services.simulator.books import Books, cost_nanousd
from services.simulator.fleet import Price


def by_hand(model, usage: dict[str, Any]) -> int:
    millionth = Decimal(1) / Decimal(1_000_000)
    usd = (usage["prompt_tokens"] * model.price.input + usage["completion_tokens"] * model.price.output) * millionth
    return int((usd * 10**9).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


async def test_fifty_calls_are_booked_exactly_as_calculated_by_hand(client, simulator, bank, speakers):
    cost = tokens_in = tokens_out = 0
    pairs = zip(cycle(speakers.values()), islice(bank.by_id.values(), 50), strict=False)
    for number, (model, prompt) in enumerate(pairs):
        if number % 2:
            options = {"stream_options": {"include_usage": True}}
            usage = (await client.events(prompt.text, model.id, **options))[-2]["usage"]
        else:
            usage = (await client.ask(prompt.text, model.id))["usage"]
        cost += by_hand(model, usage)
        tokens_in += usage["prompt_tokens"]
        tokens_out += usage["completion_tokens"]
    total = simulator.books.total()
    assert (total.requests, total.completed, total.failed, total.interrupted) == (50, 50, 0, 0)
    assert (total.input_tokens, total.output_tokens) == (tokens_in, tokens_out)
    assert total.cost_nanousd == cost > 0
    served = (await client.get("/books"))["models"]
    assert sum(account["cost_nanousd"] for account in served.values()) == cost


def test_a_cost_is_rounded_half_even_once():
    price = Price(Decimal("0.0005"), Decimal("0.0005"), Decimal("0.0005"))
    assert cost_nanousd(price, 1, 0, 0) == 0  # 0.5
    assert cost_nanousd(price, 1, 1, 1) == 2  # 1.5; three roundings would give 0
    assert cost_nanousd(price, 3, 1, 1) == 2  # 2.5


def test_a_missing_price_for_cached_tokens_is_the_input_price():
    assert cost_nanousd(Price(Decimal(1), None, Decimal(2)), 1, 1, 1) == 4000


def test_an_entry_is_settled_only_once(fleet):
    books = Books()
    entry = books.open(fleet["gpt-5"], 10)
    entry.sent("twelve bytes")
    entry.interrupt()
    entry.complete(3)
    entry.fail()
    account = books.account("gpt-5")
    assert (account.requests, account.interrupted, account.completed, account.failed) == (1, 1, 0, 0)
    assert account.interrupted_output_tokens == 3


async def test_books_can_be_reset(client):
    await client.ask("Hello")
    async with client.session.post("/books/reset") as response:
        assert (await response.json())["total"]["requests"] == 0
    assert (await client.get("/books"))["models"] == {}
