"""What the tests of the context service share: encodings are loaded once, for all of them."""

from __future__ import annotations

import io

import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from services.chassis.logs import Log
from services.context.memo import Memo
from services.context.ranks import Encodings
from services.context.server import assemble
from services.context.settings import load
from services.context.tokens import TokenCounter
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


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def parts(registry, tmp_path_factory):
    """The objects behind the service, their queues running, with an embedder that needs no model."""
    settings = load({"OMNISPHERE_STATE": str(tmp_path_factory.mktemp("state"))})
    made = assemble(settings, Log("context", stream=io.StringIO()), registry, HashingEmbedder)
    made.background.start()
    made.cut_turns.start()
    yield made
    await made.close()


@pytest.fixture(scope="session")
def fitter(parts):
    return parts.fitter
