"""What the tests of the context service share: encodings are loaded once, for all of them."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from services.chassis.executor import Executor
from services.context.counting import Counting
from services.context.fit import Fitter
from services.context.memo import Memo
from services.context.metrics import ContextMetrics
from services.context.ranks import Encodings
from services.context.tokens import TokenCounter


@pytest.fixture(scope="session")
def encodings():
    return Encodings()


@pytest.fixture(scope="session")
def counter(encodings):
    return TokenCounter(encodings, Memo(10_000))


@pytest.fixture(scope="session")
def registry():
    return CollectorRegistry()


@pytest.fixture(scope="session")
def fitter(counter, registry):
    metrics = ContextMetrics(registry)
    executor = Executor()
    yield Fitter(Counting(counter, executor, metrics, inline_bytes=20_000), metrics)
    executor.close()
