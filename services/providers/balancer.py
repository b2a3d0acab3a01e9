"""Which of several endpoints next. No I/O: what is known of each comes in, a place in the list goes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal, Protocol

BalancerName = Literal["power_of_two", "weighted"]


@dataclass(frozen=True, slots=True)
class Load:
    """One endpoint as it is now. `seconds` is how long it takes to answer of late; 0: not known yet."""

    weight: float
    in_flight: int
    seconds: float


class Balancer(Protocol):
    """Chooses. `loads` has at least two entries; the answer is an index into it."""

    def choose(self, loads: Sequence[Load], random: Random) -> int:
        """The endpoint for the next call."""


class Weighted:
    """By weight alone: an endpoint of weight 3 gets three calls for one of weight 1."""

    def choose(self, loads: Sequence[Load], random: Random) -> int:
        """One of them, at random."""
        return random.choices(range(len(loads)), weights=[load.weight for load in loads])[0]


class PowerOfTwo:
    """The better of two that were drawn at random: time to answer x calls in flight, by weight.

    Mitzenmacher 2001, "The power of two choices in randomized load balancing": nearly as even as asking all, and no
    stampede to the one that looks best. An endpoint of which nothing is known counts as quick as the quickest.
    """

    def choose(self, loads: Sequence[Load], random: Random) -> int:
        """The less loaded of two."""
        first, second = random.sample(range(len(loads)), 2)
        known = min((load.seconds for load in loads if load.seconds), default=1.0)
        return first if _score(loads[first], known) <= _score(loads[second], known) else second


def _score(load: Load, known: float) -> float:
    return (load.seconds or known) * (load.in_flight + 1) / load.weight


BALANCERS: dict[BalancerName, Balancer] = {"power_of_two": PowerOfTwo(), "weighted": Weighted()}
