"""Counters, gauges and histograms for the event loop: what prometheus_client's do, at a tenth of the price per count.

There is one writer, the loop's thread, so nothing is locked; figures are handed over when somebody collects them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

C = TypeVar("C")


class Count:
    """One figure."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: float = 0

    def inc(self, amount: float = 1) -> None:
        """Count."""
        self.value += amount

    def set(self, value: float) -> None:
        """For what goes up and down."""
        self.value = value


class Distribution:
    """How often values fell into which bucket, and their sum. `bounds` are the buckets' upper ends."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum: float = 0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class Family(Collector, Generic[C]):
    """Children by the values of their labels."""

    def __init__(self, name: str, text: str, labels: Sequence[str], registry: CollectorRegistry) -> None:
        self._name, self._text, self.label_names = name, text, tuple(labels)
        self._children: dict[tuple[str, ...], C] = {}
        registry.register(self)
        if not labels:
            self.labels()

    def labels(self, *values: str) -> C:
        """The child of these values, in the order of the labels."""
        child = self._children.get(values)
        if child is None:
            if len(values) != len(self.label_names):
                raise ValueError(f"{self._name} has the labels {', '.join(self.label_names)}")
            child = self._children[values] = self._new()
        return child

    def _new(self) -> C:
        raise NotImplementedError

    def describe(self) -> Iterable[Metric]:
        """Its name, so that nobody else takes it."""
        return [self._family()]

    def _family(self) -> Metric:
        raise NotImplementedError


class Counter(Family[Count]):
    """A family of counts. The name's `_total` may be left out."""

    def __init__(self, name: str, text: str, labels: Sequence[str] = (), *, registry: CollectorRegistry) -> None:
        super().__init__(name.removesuffix("_total"), text, labels, registry)

    def inc(self, amount: float = 1) -> None:
        """Count, where there are no labels."""
        self.labels().inc(amount)

    def collect(self) -> Iterable[Metric]:
        """The figures now."""
        family = self._family()
        for values, child in list(self._children.items()):
            family.add_metric(values, child.value)
        return [family]

    def _new(self) -> Count:
        return Count()

    def _family(self) -> CounterMetricFamily:
        return CounterMetricFamily(self._name, self._text, labels=self.label_names)


class Gauge(Family[Count]):
    """A family of values that go up and down."""

    def collect(self) -> Iterable[Metric]:
        """The values now."""
        family = self._family()
        for values, child in list(self._children.items()):
            family.add_metric(values, child.value)
        return [family]

    def _new(self) -> Count:
        return Count()

    def _family(self) -> GaugeMetricFamily:
        return GaugeMetricFamily(self._name, self._text, labels=self.label_names)


class Histogram(Family[Distribution]):
    """A family of distributions over the same buckets."""

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str] = (),
        *,
        buckets: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self.bounds = tuple(buckets)
        self._words = [*map(floatToGoString, self.bounds), "+Inf"]
        super().__init__(name, text, labels, registry)

    def observe(self, value: float) -> None:
        """Count one value, where there are no labels."""
        self.labels().observe(value)

    def collect(self) -> Iterable[Metric]:
        """The figures now."""
        family = self._family()
        for values, child in list(self._children.items()):
            so_far, buckets = 0, []
            for word, count in zip(self._words, child.counts, strict=True):
                so_far += count
                buckets.append((word, so_far))
            family.add_metric(values, buckets, child.sum)
        return [family]

    def _new(self) -> Distribution:
        return Distribution(self.bounds)

    def _family(self) -> HistogramMetricFamily:
        return HistogramMetricFamily(self._name, self._text, labels=self.label_names)
