"""What a call that failed has cost: what was tried, or what nobody says."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from omnisphere.providers.v1 import attempt_pb2
from services.chassis.errors import (
    DeadlineExceeded,
    NoEndpoint,
    Overloaded,
    PeerUnavailable,
    ProviderRateLimited,
    ProviderUnavailable,
)
from services.router.payment import Unsaid, pay_failed
from tests.fakes.peers import failed


class Notebook:
    """A payer that writes down what it hears."""

    def __init__(self) -> None:
        self.paid: list[int] = []
        self.unknown: list[Unsaid] = []

    def attempted(self, attempts: Iterable[attempt_pb2.Attempt]) -> None:
        self.paid.extend(each.cost.nanousd for each in attempts)

    def unsaid(self, call: Unsaid) -> None:
        self.unknown.append(call)


@pytest.mark.parametrize(
    ("failure", "paid", "unknown"),
    [
        (failed(ProviderUnavailable, "m", cost=7), [7], []),
        (DeadlineExceeded(step="generate"), [], [Unsaid("c-1", 40)]),
        (KeyboardInterrupt(), [], [Unsaid("c-1", 40)]),
        (NoEndpoint(model="m"), [], []),
        (Overloaded(queue="calls"), [], []),
        (ProviderRateLimited(details=[attempt_pb2.AttemptsFailed()]), [], []),
        (PeerUnavailable(peer="providers"), [], [Unsaid("c-1", 40)]),
        (PeerUnavailable(peer="providers").before_sending(), [], []),
    ],
    ids=[
        "it says what was tried",
        "it says nothing",
        "it was given up",
        "nothing was sent",
        "no room",
        "all keys rest",
        "the peer went away",
        "the peer was away",
    ],
)
def test_every_failed_call_is_paid_for_once(failure, paid, unknown):
    payer = Notebook()
    pay_failed(payer, failure, "c-1", expected_nanousd=40)
    assert (payer.paid, payer.unknown) == (paid, unknown)
