"""Gemini's embeddings: all texts in one request, one vector for each."""

from __future__ import annotations

import json

import pytest

from services.providers.adapters import ErrorInAnswer, MalformedAnswer
from services.providers.adapters.gemini_embeddings import GeminiEmbeddings
from tests.unit.providers.samples import target


def rows(*vectors: object) -> bytes:
    return json.dumps({"embeddings": [{"values": vector} for vector in vectors]}).encode()


def test_every_text_is_a_request_with_its_model_and_length():
    request = GeminiEmbeddings().encode(["a", "ö"], target(), dimensions=8)
    assert request.path == "/models/own-name:batchEmbedContents"
    assert json.loads(request.body)["requests"] == [
        {"model": "models/own-name", "content": {"parts": [{"text": value}]}, "outputDimensionality": 8}
        for value in ("a", "ö")
    ]
    own = json.loads(GeminiEmbeddings().encode(["a"], target(), dimensions=None).body)
    assert "outputDimensionality" not in own["requests"][0]


def test_vectors_come_in_the_order_of_the_texts_without_usage():
    found = GeminiEmbeddings().read(rows([0.5, 1], [2, 3]), texts=2, dimensions=2)
    assert [list(vector) for vector in found.vectors] == [[0.5, 1.0], [2.0, 3.0]]
    assert found.usage is None


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "malformed"),
        (b"{}", "empty"),
        (rows(), "empty"),
        (rows([1.0, 2.0]), "malformed"),
        (rows([1.0], [1.0, 2.0]), "malformed"),
        (rows([1.0], ["x"]), "malformed"),
        (rows([1.0], [1.0]), "dimensions"),
        (b'{"embeddings": [1, 2]}', "malformed"),
        (b'{"embeddings": 7}', "malformed"),
    ],
)
def test_other_bodies_are_no_vectors(body, kind):
    with pytest.raises(MalformedAnswer) as raised:
        GeminiEmbeddings().read(body, texts=2, dimensions=2)
    assert raised.value.kind == kind


def test_an_error_in_a_200_is_an_error():
    with pytest.raises(ErrorInAnswer):
        GeminiEmbeddings().read(b'{"error": {"code": 503}}', texts=1, dimensions=None)
