"""What is told of the attempts of a call: all of them, once it is over, to its own tenant."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from omnisphere.providers.v1 import attempt_pb2
from services.chassis import call_context
from services.chassis.call_context import CallContext
from services.chassis.identity import Caller
from services.providers.ledger import ATTEMPTS, Attempts
from services.providers.metrics import ProvidersMetrics
from tests.fakes.clock import FakeClock
from tests.fakes.ledger import ListedBook


def book(attempts: Attempts, number: int, call_id: str = "c") -> None:
    attempt = attempt_pb2.Attempt(
        number=number, outcome=attempt_pb2.ATTEMPT_OUTCOME_OK, purpose=attempt_pb2.PURPOSE_ANSWER
    )
    attempts.book(attempt, request_id="r", call_id=call_id, operation="chat")


def numbers(attempts: Attempts, call_id: str = "c") -> list[int] | None:
    found = attempts.of_call(call_id)
    return None if found is None else [each.number for each in found]


def kept(most_recent: int = 10, clock: FakeClock | None = None) -> tuple[Attempts, ListedBook]:
    ledger, metrics = ListedBook(ATTEMPTS), ProvidersMetrics(CollectorRegistry())
    now = (clock or FakeClock()).monotonic
    return Attempts(ledger, metrics, most_recent=most_recent, now=now), ledger


def test_a_call_that_is_not_over_tells_no_part_of_its_attempts():
    attempts, ledger = kept()
    assert numbers(attempts) is None
    with attempts.call("c"):
        book(attempts, 1)
        assert numbers(attempts) is None
        book(attempts, 2)
    assert numbers(attempts) == [1, 2]
    assert len(ledger.rows) == 2


def test_a_call_that_sent_nothing_is_over_all_the_same():
    attempts, ledger = kept()
    with attempts.call("c"):
        pass
    assert numbers(attempts) == []
    assert ledger.rows == []


def test_a_call_that_never_came_is_told_from_one_that_is_forgotten():
    clock = FakeClock()
    attempts, _ = kept(most_recent=1, clock=clock)
    clock.advance(10.0)
    assert attempts.of_call("c", 9.0) == ()
    assert attempts.of_call("c", 11.0) is None  # an earlier process may have had it
    assert attempts.of_call("c", 0.5) is None  # it may still come
    with attempts.call("c"):
        assert attempts.of_call("c", 9.0) is None
    clock.advance(10.0)
    with attempts.call("d"):
        pass
    assert attempts.of_call("c", 11.0) is None  # forgotten
    assert attempts.of_call("e", 9.0) == ()


def test_another_tenant_hears_nothing():
    attempts, _ = kept()
    with attempts.call("c"):
        book(attempts, 1)
    with call_context.entered(CallContext(Caller("another"), "", "")):
        assert numbers(attempts) is None


def test_what_is_remembered_is_bounded():
    attempts, ledger = kept(most_recent=2)
    for name in "abc":
        with attempts.call(name):
            book(attempts, 1, name)
    with attempts.call(""):
        book(attempts, 1, "")
    assert [numbers(attempts, name) for name in "abc"] == [None, [1], [1]]
    assert len(ledger.rows) == 4
