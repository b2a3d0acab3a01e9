"""What checks teach: thresholds rise toward the budget, weighted by how likely a check was, each namespace alone."""

from __future__ import annotations

import random

from services.cache.online import Thresholds


def test_without_wrong_hits_the_calibrated_threshold_holds():
    thresholds = Thresholds(0.8, 0.005)
    thresholds.looked_up(b"a")
    assert thresholds.checked(b"a", confidence=0.9, probability=0.1, wrong=False) == 0.8


def test_a_wrong_hit_beyond_the_budget_lifts_the_threshold_of_its_namespace_alone():
    thresholds = Thresholds(0.8, 0.005)
    for _ in range(100):
        thresholds.looked_up(b"a")
    assert thresholds.checked(b"a", confidence=0.85, probability=1.0, wrong=True) > 0.85
    assert thresholds.of(b"b") == 0.8


def test_one_wrong_hit_within_the_budget_changes_nothing():
    thresholds = Thresholds(0.8, 0.005)
    for _ in range(1_000):
        thresholds.looked_up(b"a")
    assert thresholds.checked(b"a", confidence=0.85, probability=1.0, wrong=True) == 0.8
    # A check that was made with probability 0.1 stands for ten hits.
    assert thresholds.checked(b"a", confidence=0.83, probability=0.1, wrong=True) > 0.8


def test_the_bound_holds_on_a_stream_that_is_worse_than_the_one_it_was_calibrated_on():
    chance, budget = random.Random(5), 0.01
    thresholds = Thresholds(0.5, budget)
    served_wrongly, look_ups = 0, 20_000
    for number in range(look_ups):
        thresholds.looked_up(b"a")
        confidence = chance.random()
        if confidence < thresholds.of(b"a"):
            continue
        wrong = chance.random() > confidence
        served_wrongly += wrong and number >= look_ups // 2
        probability = 0.4 if confidence < 0.75 else 0.1
        if chance.random() < probability:
            thresholds.checked(b"a", confidence=confidence, probability=probability, wrong=wrong)
    assert served_wrongly / (look_ups / 2) <= 1.5 * budget
    assert thresholds.of(b"a") < 1


def test_what_was_learned_survives_as_plain_values():
    thresholds = Thresholds(0.8, 0.005)
    thresholds.looked_up(b"a")
    lifted = thresholds.checked(b"a", confidence=0.9, probability=0.5, wrong=True)
    again = Thresholds(0.8, 0.005)
    again.restore(b"a", thresholds.learned(b"a"))
    assert again.of(b"a") == lifted > 0.9
    again.restore(b"b", b"torn")
    again.restore(b"b", b"\xff" * 1024)
    assert again.of(b"b") == 0.8


def test_bad_luck_is_not_for_ever():
    thresholds = Thresholds(0.8, 0.01)
    thresholds.looked_up(b"a")
    assert thresholds.checked(b"a", confidence=0.85, probability=0.1, wrong=True) > 0.85
    for _ in range(60_000):
        thresholds.looked_up(b"a")
    assert thresholds.checked(b"a", confidence=0.95, probability=0.1, wrong=False) == 0.8


def test_namespaces_are_bounded():
    thresholds = Thresholds(0.8, 0.005)
    for number in range(10_050):
        thresholds.looked_up(str(number).encode())
    assert len(thresholds._namespaces) == 10_000
