"""A key sends no more than its limits allow, and goes last where the provider says that little is left."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.providers.headroom import Headroom, PerMinute, _seconds

WALL = 1_790_000_000.0


@given(st.integers(1, 20), st.lists(st.tuples(st.floats(0, 20), st.integers(1, 8)), max_size=80))
def test_within_any_minute_no_more_is_taken_than_the_limit(limit: int, asked: list[tuple[float, int]]):
    window, now, taken = PerMinute(limit), 100.0, []
    for passes, amount in asked:
        now += passes
        if not window.waits_for(amount, now):
            window.take(amount, now)
            taken.append((now, amount))
    for start, _ in taken:
        within = [amount for at, amount in taken if start <= at < start + 60]
        assert sum(within) <= max(limit, within[0])


def test_a_wait_is_as_long_as_it_takes_for_enough_to_be_free():
    window = PerMinute(3)
    for at in (0.0, 10.0, 20.0):
        window.take(1, at)
    assert window.waits_for(1, 30.0) == 31.0
    assert window.waits_for(2, 30.0) == 41.0
    assert window.waits_for(1, 61.0) == 0.0
    assert window.waits_for(99, 81.5) == 0.0


def test_requests_and_tokens_are_limited_apart():
    headroom = Headroom(rpm=2, tpm=100)
    headroom.take("m", 90, 0.0)
    assert headroom.waits_for(5, 0.0) == 0.0
    assert headroom.waits_for(50, 0.0) > 0
    headroom.take("m", 5, 0.0)
    assert headroom.waits_for(1, 0.0) > 0


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ratelimit-remaining-requests": "1", "x-ratelimit-reset-requests": "20s"},
        {"x-ratelimit-remaining-tokens": "60", "x-ratelimit-reset-tokens": "1m0s"},
        {"anthropic-ratelimit-requests-remaining": "1", "anthropic-ratelimit-requests-reset": "2026-09-21T14:13:50Z"},
        {"anthropic-ratelimit-input-tokens-remaining": "60", "anthropic-ratelimit-input-tokens-reset": "30"},
    ],
)
def test_what_the_headers_say_is_used_up_and_forgotten_after_its_moment(headers: dict[str, str]):
    headroom = Headroom(rpm=0, tpm=0)
    headroom.learn("m", headers, 0.0, WALL)
    assert not headroom.is_tight("m", 50, 1.0)
    headroom.take("m", 50, 1.0)
    assert headroom.is_tight("m", 50, 2.0)
    assert not headroom.is_tight("other", 50, 2.0)
    assert not headroom.is_tight("m", 50, 61.0)
    assert headroom.waits_for(50, 2.0) == 0.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("6m0s", 360),
        ("20ms", 0.02),
        ("2m59.56s", 179.56),
        ("1h2m3s", 3723),
        ("59.5", 59.5),
        ("2026-09-21T14:13:50Z", 30),
        ("2026-09-21T14:13:10Z", 0),
        ("", None),
        ("soon", None),
    ],
)
def test_a_length_of_time_is_read_in_every_form_that_was_seen(text: str, seconds: float | None):
    found = _seconds(text, WALL)
    assert found == pytest.approx(seconds) if seconds is not None else found is None
