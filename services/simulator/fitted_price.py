"""The price that explains recorded costs: input and output per token, by least squares. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.simulator.fleet import Price

_MILLION = 1_000_000
_NANO = 1e9
# Half a nano-dollar is rounding, and the rest that of a float.
_ROUNDING = 0.51
# USD per million tokens are stated with so many digits.
_DIGITS = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Paid:
    """One answer: its tokens, and what it cost."""

    input: int
    output: int
    usd: float


def is_exact(price: Price, paid: Sequence[Paid]) -> bool:
    """Whether every cost is price x tokens; without costs, so it is."""
    into, out = float(price.input) / _MILLION, float(price.output) / _MILLION
    return all(abs(one.input * into + one.output * out - one.usd) * _NANO <= _ROUNDING for one in paid)


def fitted(paid: Sequence[Paid]) -> Price | None:
    """The price whose costs add up to what was paid; None: nothing was paid for."""
    total = sum(one.usd for one in paid)
    if not paid or not sum(one.input + one.output for one in paid):
        return None
    into, out = _least_squares(paid)
    if into < 0 or out < 0:
        # One price for both: with a negative one somebody would be paid for asking.
        into = out = 1.0
    made = sum(one.input * into + one.output * out for one in paid)
    scale = total / made * _MILLION if made > 0 else 0.0
    return Price(_stated(into * scale), None, _stated(out * scale))


def _least_squares(paid: Sequence[Paid]) -> tuple[float, float]:
    squares = [sum(one.input * one.input for one in paid), sum(one.output * one.output for one in paid)]
    mixed = sum(one.input * one.output for one in paid)
    sides = [sum(one.input * one.usd for one in paid), sum(one.output * one.usd for one in paid)]
    determinant = squares[0] * squares[1] - mixed * mixed
    if not determinant:
        return -1.0, -1.0
    return (
        (sides[0] * squares[1] - sides[1] * mixed) / determinant,
        (sides[1] * squares[0] - sides[0] * mixed) / determinant,
    )


def _stated(usd_per_million: float) -> Decimal:
    return Decimal(usd_per_million).quantize(_DIGITS)
