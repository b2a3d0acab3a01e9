"""Counts and distributions come out as prometheus_client's own would."""

from __future__ import annotations

import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as some
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from services.chassis.counting import Counter, Histogram

BUCKETS = (0.001, 0.5, 1, 10)


def lines(registry: CollectorRegistry) -> set[str]:
    """What is exposed, without when each figure began."""
    text = generate_latest(registry).decode()
    return {line for line in text.splitlines() if "_created" not in line}


@given(some.lists(some.tuples(some.sampled_from("abc"), some.floats(0, 100))))
def test_they_expose_what_prometheus_client_would(events):
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    their_count = prometheus_client.Counter("x_total", "Text.", ["who"], registry=theirs)
    their_hist = prometheus_client.Histogram("y_seconds", "Text.", ["who"], buckets=BUCKETS, registry=theirs)
    count, hist = (
        Counter("x_total", "Text.", ["who"], registry=ours),
        Histogram("y_seconds", "Text.", ["who"], buckets=BUCKETS, registry=ours),
    )
    for who, value in events:
        for counter, histogram in ((their_count, their_hist), (count, hist)):
            counter.labels(who).inc(value)
            histogram.labels(who).observe(value)
    assert lines(ours) == lines(theirs)
    assert list(text_string_to_metric_families(generate_latest(ours).decode()))


def test_without_labels_a_figure_is_there_from_the_start():
    registry = CollectorRegistry()
    Counter("x", "Text.", registry=registry)
    Histogram("y", "Text.", buckets=BUCKETS, registry=registry)
    assert registry.get_sample_value("x_total") == 0
    assert registry.get_sample_value("y_count") == 0


def test_a_name_is_taken_once_and_labels_are_all_given():
    registry = CollectorRegistry()
    counter = Counter("x", "Text.", ["who"], registry=registry)
    with pytest.raises(ValueError, match="Duplicated"):
        Counter("x", "Text.", registry=registry)
    with pytest.raises(ValueError, match="has the labels who"):
        counter.labels("a", "b")
