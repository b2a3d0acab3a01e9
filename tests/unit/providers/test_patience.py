"""An answer has limits for its first token, for each pause and for the whole, and bytes alone are no progress."""

from __future__ import annotations

from services.providers.patience import Limits, Patience

LIMITS = Limits(connect=1, first_token=30, whole=300, idle=60, total=900, most_bytes=1)


def test_a_stream_waits_for_its_first_token_however_many_bytes_come():
    patience = Patience(LIMITS, 0.0, stream=True)
    assert (patience.left(10.0), patience.cause()) == (20.0, "first_token_timeout")
    patience.progressed(29.0)
    assert (patience.left(29.0), patience.cause()) == (1.0, "first_token_timeout")


def test_after_its_first_token_each_pause_counts_and_the_whole():
    patience = Patience(LIMITS, 0.0, stream=True)
    patience.begun(29.0)
    assert (patience.left(29.0), patience.cause()) == (60.0, "idle_timeout")
    for now in range(50, 900, 50):
        patience.progressed(float(now))
    assert (patience.left(899.0), patience.cause()) == (1.0, "total_timeout")


def test_an_answer_that_is_no_stream_may_take_its_whole_time_to_begin():
    patience = Patience(LIMITS, 0.0, stream=False)
    assert (patience.left(0.0), patience.cause()) == (300.0, "total_timeout")
    patience.begun(290.0)
    assert (patience.left(290.0), patience.cause()) == (10.0, "total_timeout")
