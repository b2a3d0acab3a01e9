"""Embeddings over HTTP: requests read, vectors written as numbers and as base64."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.edge import embeddings
from services.router.edge.errors import Refused

ANSWER = pb.EmbedResponse(
    embeddings=[pb.Embedding(values=[0.5, -1.0]), pb.Embedding(values=[2.0, 0.0])],
    usage=chat_pb2.Usage(input_uncached_tokens=5),
)


def test_one_text_or_many():
    request, rows, as_base64 = embeddings.read({"model": "m", "input": "x", "user": "u"})
    assert (request, rows, as_base64) == (pb.EmbedRequest(model="m", texts=["x"]), [], False)
    request, rows, as_base64 = embeddings.read({"model": "m", "input": ["x", "y"], "encoding_format": "base64"})
    assert (list(request.texts), rows, as_base64) == (["x", "y"], [], True)


@pytest.mark.parametrize(("given", "tokens"), [([5, 7], [[5, 7]]), ([[5], [7, 9]], [[5], [7, 9]])])
def test_tokens_are_kept_apart_from_texts(given: object, tokens: list[list[int]]):
    request, rows, _ = embeddings.read({"model": "m", "input": given})
    assert ([list(row.tokens) for row in rows], list(request.texts)) == (tokens, [])


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"input": [1, "x"]}, "input"),
        ({"input": [1, -2]}, "input"),
        ({"input": [[1], [2.5]]}, "input[1]"),
        ({"input": [[1], "x"]}, "input[1]"),
        ({"input": [True]}, "input[0]"),
        ({"input": []}, "input"),
        ({"input": ["x"] * 2_049}, "input"),
        ({"input": ["x", 1]}, "input[1]"),
        ({"input": "x", "encoding_format": "hex"}, "encoding_format"),
        ({"input": "x", "dimensions": "3"}, "dimensions"),
        ({"input": "x", "size": 3}, "size"),
        ({"input": "x", "model": None}, "model"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(more: dict[str, Any], param: str):
    with pytest.raises(Refused) as wrong:
        embeddings.read({"model": "m", **more})
    assert wrong.value.param == param


def test_vectors_come_in_the_order_of_the_texts():
    body = embeddings.write(ANSWER, as_base64=False)
    assert [row["embedding"] for row in body["data"]] == [[0.5, -1.0], [2.0, 0.0]]
    assert [row["index"] for row in body["data"]] == [0, 1]
    assert body["usage"] == {"prompt_tokens": 5, "total_tokens": 5}


def test_base64_is_of_little_endian_floats():
    body = embeddings.write(ANSWER, as_base64=True)
    assert struct.unpack("<2f", base64.b64decode(body["data"][0]["embedding"])) == (0.5, -1.0)


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        ("x", "texts[0]", "input"),
        (["x"], "texts[0]", "input[0]"),
        (["x"], "texts", "input"),
        ([5], "rows[0].tokens", "input"),
        ([[5]], "rows[0].tokens", "input[0]"),
        ([[5]], "texts[0]", "input[0]"),
        ([5], "rows", "input"),
        ("x", "dimensions", "dimensions"),
        ("x", "request_id", "x-omnisphere-request-id"),
    ],
)
def test_a_field_is_named_in_the_callers_terms(given: object, field: str, said: str):
    assert embeddings.place({"input": given}, field) == said
