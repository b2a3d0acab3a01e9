"""How old an entry is, when it is over, and what its name gives away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.cache.entry import TOLERANCE_SECONDS, Moment, lifetime
from services.cache.fingerprint import Fingerprint
from tests.unit.cache.samples import START, entry

MADE = entry("q", ttl=100)
ZERO = MADE.age_zero


def test_an_entry_is_over_when_its_life_is():
    assert not MADE.is_over(Moment(START + 99.9, ZERO + 99.9))
    assert MADE.is_over(Moment(START + 100, ZERO + 100))


def test_the_longer_age_counts():
    assert MADE.age(Moment(START + 5, ZERO + 7)) == 7
    assert MADE.age(Moment(START + 9, ZERO + 7)) == 9


def test_a_machine_that_slept_does_not_make_an_entry_live_longer():
    assert MADE.is_over(Moment(START + 5_000, ZERO + 1))


def test_a_clock_that_went_back_does_not_make_an_entry_live_longer():
    assert MADE.is_over(Moment(START + 1, ZERO + 101))
    assert MADE.is_over(Moment(START - TOLERANCE_SECONDS - 1, ZERO + 1))


def test_a_clock_that_went_back_a_little_does_not_matter():
    moment = Moment(START - TOLERANCE_SECONDS + 1, ZERO + 1)
    assert not MADE.is_over(moment)
    assert MADE.age(moment) == 1


@given(st.binary(min_size=32, max_size=32), st.floats(1, 600_000))
def test_a_life_varies_by_a_tenth_and_is_always_the_same(digest, ttl):
    fingerprint = Fingerprint(digest)
    life = lifetime(ttl, fingerprint, longest=1e9)
    assert ttl * 0.9 <= life <= ttl * 1.1
    assert lifetime(ttl, fingerprint, longest=1e9) == life
    assert lifetime(ttl, fingerprint, longest=ttl) <= ttl


def test_lives_are_spread_over_the_whole_range():
    lives = [lifetime(100, Fingerprint(bytes([first]) + bytes(31)), longest=1e9) for first in range(256)]
    assert min(lives) == pytest.approx(90)
    assert max(lives) > 109.8


def test_an_id_tells_neither_the_request_nor_the_time():
    one, two = entry("q"), entry("q", stored_at=START + 1e-3)
    assert one.entry_id != two.entry_id
    assert len(one.entry_id) == 32
    assert one.fingerprint.hex()[:8] not in one.entry_id
