"""The table at the top of the file, line by line."""

from __future__ import annotations

from services.router.guard import Guard


def resting(at: float = 0.0) -> Guard:
    guard = Guard()
    for _ in range(3):
        guard.failed(at)
    return guard


def test_it_works_through_two_failures_and_rests_after_the_third():
    guard = Guard()
    for _ in range(2):
        guard.failed(0.0)
        assert guard.allows(0.0)
    guard.failed(0.0)
    assert not guard.allows(0.0)


def test_failures_count_in_a_row_only():
    guard = Guard()
    for _ in range(5):
        guard.failed(0.0)
        guard.failed(0.0)
        guard.succeeded()
    assert guard.allows(0.0)


def test_it_rests_for_a_fifth_of_a_second_and_then_lets_one_trial_through():
    guard = resting()
    assert not guard.allows(0.19)
    assert guard.allows(0.2)
    assert not guard.allows(0.2)


def test_a_trial_that_succeeds_ends_the_rest():
    guard = resting()
    assert guard.allows(0.2)
    guard.succeeded()
    assert guard.allows(0.2)
    guard.failed(0.2)
    assert guard.allows(0.2)


def test_a_trial_that_fails_doubles_the_rest_up_to_five_seconds():
    guard, now = resting(), 0.0
    for rest in (0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0):
        assert not guard.allows(now + rest - 0.01)
        now += rest + 0.001
        assert guard.allows(now)
        guard.failed(now)


def test_failures_of_calls_that_went_out_before_the_rest_do_not_make_it_longer():
    guard = resting()
    for _ in range(50):
        guard.failed(0.1)
    assert guard.allows(0.2)


def test_a_trial_that_never_comes_back_does_not_block_for_ever():
    guard = resting()
    assert guard.allows(0.2)
    assert guard.allows(0.5)


def test_after_a_success_the_first_rest_is_a_short_one_again():
    guard = resting()
    guard.allows(0.2)
    guard.failed(0.2)
    guard.allows(0.6)
    guard.succeeded()
    for _ in range(3):
        guard.failed(3.0)
    assert not guard.allows(3.19)
    assert guard.allows(3.2)
