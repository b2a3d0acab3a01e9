"""The metrics are all documented, named as Prometheus wants it, and their labels are known to be bounded."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from services.chassis.counting import Histogram
from services.providers.metrics import ProvidersMetrics
from tools.metric_tables import LABELS, Metric, tables

ROOT = Path(__file__).parents[2]
METRICS = [metric for metrics in tables().values() for metric in metrics]


def _made_in_the_code() -> Iterator[str]:
    """The first argument of every Counter, Gauge, Histogram and Summary in services/."""
    for path in (ROOT / "services").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                made = node.func.id in ("Counter", "Gauge", "Histogram", "Summary") and node.args
                if made and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
                    yield node.args[0].value


def test_every_metric_of_the_code_is_on_the_page():
    known = {metric.name.removesuffix("_total") for metric in METRICS}
    assert {name.removesuffix("_total") for name in _made_in_the_code()} == known


def test_every_label_says_what_bounds_it():
    assert {label for metric in METRICS for label in metric.labels} == set(LABELS)
    assert not {"tenant", "user", "prompt", "request_id", "trace_id", "key"} & set(LABELS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_says_whose_it_is_what_it_is_and_its_unit(metric: Metric):
    assert metric.name.startswith(("omnisphere_", "gen_ai_"))
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert not metric.name.endswith(("_milliseconds", "_ms", "_kilobytes", "_count", "_sum", "_bucket"))
    if metric.kind == "histogram":
        assert metric.unit in ("seconds", "tokens", "0 to 1")
    assert metric.text.endswith(".")


def test_the_buckets_of_the_gen_ai_metrics_are_those_of_the_conventions():
    registry = CollectorRegistry()
    ProvidersMetrics(registry)
    bounds = {
        "gen_ai_client_operation_duration_seconds": [0.01 * 2**power for power in range(14)],
        "gen_ai_client_operation_time_to_first_chunk_seconds": [0.01 * 2**power for power in range(14)],
        "gen_ai_client_token_usage": [float(4**power) for power in range(14)],
    }
    for name, expected in bounds.items():
        histogram = registry._names_to_collectors[name]
        assert isinstance(histogram, Histogram)
        assert list(histogram.bounds) == expected
        assert all(low < high for low, high in pairwise(histogram.bounds))
