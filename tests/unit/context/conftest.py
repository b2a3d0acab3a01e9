"""What the tests of the context service share: encodings are loaded once, for all of them."""

from __future__ import annotations

import io

import pytest
from prometheus_client import CollectorRegistry

from services.chassis.executor import Executor
from services.chassis.logs import Log
from services.context.counting import Counting
from services.context.cut import Cutter
from services.context.fit import Fitter
from services.context.known import Known
from services.context.memo import Memo
from services.context.metrics import ContextMetrics
from services.context.ranks import Encodings
from services.context.tokens import TokenCounter
from services.context.vectors import Background, Vectors
from services.embedding.hashing import HashingEmbedder


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
    vectors = Vectors(HashingEmbedder, most=10_000)
    background = Background(vectors, Log("context", stream=io.StringIO()), waiting=1)
    counting = Counting(counter, executor, metrics, inline_bytes=20_000)
    yield Fitter(counting, Cutter(counter, Known(16), vectors), background, metrics)
    executor.close()
