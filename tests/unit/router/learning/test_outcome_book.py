"""Outcomes outlast the process, and the next one learns them in their order."""

from __future__ import annotations

from datetime import timedelta

from services.ledger.ledger import Ledger
from services.router.learning.outcome_book import OUTCOMES, OutcomeBook
from services.router.learning.outcomes import Outcome
from tests.fakes.clock import FakeClock
from tests.fakes.log import ReadableLog


def book(path):
    log = ReadableLog("router")
    ledger = Ledger(OUTCOMES, path, log=log, clock=FakeClock(), keep=timedelta(days=1), on_lost=lambda rows, why: None)
    return OutcomeBook(ledger, log)


def outcome(number: int) -> Outcome:
    return Outcome("acme", f"r-{number}", "research", "m", number / 10, "feedback", float(number), 0.5, bytes([number]))


async def test_what_was_kept_is_played_in_order(tmp_path):
    path = tmp_path / "outcomes.sqlite3"
    first = book(path)
    played: list[Outcome] = []
    await first.start(played.append)
    for number in (1, 2, 3):
        first.keep(outcome(number))
    await first.stop()
    second = book(path)
    await second.start(played.append)
    await second.stop()
    assert played == [outcome(1), outcome(2), outcome(3)]


async def test_without_a_file_nothing_is_kept():
    nothing = OutcomeBook(None, ReadableLog("router"))
    played: list[Outcome] = []
    await nothing.start(played.append)
    nothing.keep(outcome(1))
    await nothing.stop()
    assert played == []
