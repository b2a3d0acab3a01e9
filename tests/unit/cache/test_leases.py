"""Leases: one leads, others wait, and who is slow loses it."""

from __future__ import annotations

from services.cache.fingerprint import Fingerprint
from services.cache.leases import Leased, Leases

ONE, OTHER = Fingerprint(b"1" * 32), Fingerprint(b"2" * 32)


def test_the_first_leads_and_others_wait_until_its_time_is_over():
    leases = Leases(10.0)
    assert leases.ask(ONE, "a", 0.0) == Leased(leads=True, until=10.0)
    assert leases.ask(ONE, "b", 4.0) == Leased(leads=False, until=10.0)
    assert leases.ask(OTHER, "b", 4.0).leads
    assert leases.ask(ONE, "b", 10.0) == Leased(leads=True, until=20.0)
    assert not leases.ask(ONE, "a", 11.0).leads


def test_who_leads_may_go_on_and_a_stranger_without_a_name_may_not():
    leases = Leases(10.0)
    leases.ask(ONE, "a", 0.0)
    assert leases.ask(ONE, "a", 5.0) == Leased(leads=True, until=10.0)
    leases.ask(OTHER, "", 0.0)
    assert not leases.ask(OTHER, "", 1.0).leads


def test_an_answer_ends_the_lease():
    leases = Leases(10.0)
    leases.ask(ONE, "a", 0.0)
    leases.end(ONE)
    leases.end(OTHER)
    assert leases.ask(ONE, "b", 1.0).leads


def test_leases_are_bounded():
    leases = Leases(10.0)
    for number in range(10_001):
        leases.ask(Fingerprint(number.to_bytes(32)), "a", 0.0)
    assert len(leases._leases) == 10_000
