"""The simulator's own books: what it served, per model, to the nano-dollar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from decimal import ROUND_HALF_EVEN, Decimal

from services.simulator.fleet import Model, Price
from services.simulator.tokens import count_text

# USD per million tokens, times this, is nano-USD per token.
_NANOUSD_PER_TOKEN = 1000


@dataclass(slots=True)
class Account:
    """Counts of one model; tokens and cost are those of completed requests only."""

    requests: int = 0
    completed: int = 0
    failed: int = 0
    interrupted: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanousd: int = 0
    interrupted_output_tokens: int = 0

    def add(self, other: Account) -> None:
        """Add another account's counts to these."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def cost_nanousd(price: Price, fresh: int, cached: int, output: int) -> int:
    """The exact sum over token classes, rounded half-even once."""
    cache_read = price.input if price.cache_read is None else price.cache_read
    usd_per_million = fresh * price.input + cached * cache_read + output * price.output
    exact = usd_per_million * _NANOUSD_PER_TOKEN
    return int(exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


class Entry:
    """One request in the books: open until it is settled, which counts only once."""

    def __init__(self, account: Account, model: Model, input_tokens: int) -> None:
        self._account = account
        self._price = model.price
        self._input_tokens = input_tokens
        self._sent: list[str] = []
        self._is_settled = False

    def sent(self, output: str) -> None:
        """Note output that was handed to the transport."""
        self._sent.append(output)

    def complete(self, output_tokens: int) -> None:
        """The last byte of the whole answer was handed to the transport."""
        if self._settle():
            account = self._account
            account.completed += 1
            account.input_tokens += self._input_tokens
            account.output_tokens += output_tokens
            account.cost_nanousd += cost_nanousd(self._price, self._input_tokens, 0, output_tokens)

    def fail(self) -> None:
        """An HTTP error was answered."""
        if self._settle():
            self._account.failed += 1

    def interrupt(self) -> None:
        """The answer was broken off, by a fault, the client or the end of the server."""
        if self._settle():
            self._account.interrupted += 1
            self._account.interrupted_output_tokens += count_text("".join(self._sent))

    def _settle(self) -> bool:
        is_first, self._is_settled = not self._is_settled, True
        return is_first


class Books:
    """One account per model, and one for requests that named no model of the fleet."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._unattributed = Account()

    def open(self, model: Model, input_tokens: int) -> Entry:
        """Count a request and hand out its entry."""
        account = self._accounts.setdefault(model.id, Account())
        account.requests += 1
        return Entry(account, model, input_tokens)

    def refuse(self, model: Model | None) -> None:
        """Count a request that was refused before it could be served."""
        account = self._unattributed
        if model is not None:
            account = self._accounts.setdefault(model.id, Account())
        account.requests += 1
        account.failed += 1

    def account(self, model_id: str) -> Account:
        """A copy of one model's counts."""
        copy = Account()
        copy.add(self._accounts.get(model_id, Account()))
        return copy

    def total(self) -> Account:
        """The sum of every account."""
        total = Account()
        for account in (*self._accounts.values(), self._unattributed):
            total.add(account)
        return total

    def reset(self) -> None:
        """Start anew; entries that are still open settle into the old books."""
        self._accounts = {}
        self._unattributed = Account()

    def as_json(self) -> Mapping[str, object]:
        """All accounts by model id, those without a model, and the total."""
        return {
            "models": {name: asdict(account) for name, account in self._accounts.items()},
            "unattributed": asdict(self._unattributed),
            "total": asdict(self.total()),
        }
