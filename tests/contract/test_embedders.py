"""What every embedder promises: vectors of unit length, of the text alone, and none for what it would cut."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from services.embedding.embedder import Embedder
from services.embedding.hashing import HashingEmbedder
from services.embedding.onnx_minilm import OnnxMiniLM

TEXTS = ["What is the capital of France?", "", "a", "naïve café ☕", "x" * 300, "日本の首都はどこですか", "\x00\ud7ff"]


@pytest.fixture(scope="module", params=[HashingEmbedder, OnnxMiniLM])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    made: Embedder = request.param()
    return made


def test_a_vector_has_unit_length_and_the_dimension_that_is_named(embedder: Embedder):
    for text in TEXTS:
        vector = embedder.embed(text)
        assert vector is not None
        assert vector.dtype == np.float32
        assert vector.shape == (embedder.dimension,)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_a_vector_depends_on_its_text_alone(embedder: Embedder):
    alone = [embedder.embed(text) for text in TEXTS]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(embedder.embed, [*reversed(TEXTS)] * 4))
    for number, vector in enumerate(together):
        before = alone[len(TEXTS) - 1 - number % len(TEXTS)]
        assert vector is not None
        assert before is not None
        assert np.array_equal(vector, before)


def test_a_text_that_would_be_cut_has_no_vector(embedder: Embedder):
    assert embedder.embed("word " * 254) is not None
    assert embedder.embed("word " * 255) is None
    assert embedder.embed("word " * 100_000) is None


def test_the_hash_names_what_makes_the_vectors(embedder: Embedder):
    assert len(bytes.fromhex(embedder.model_hash)) == 32
    assert embedder.model_hash == type(embedder)().model_hash
