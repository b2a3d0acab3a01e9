"""Texts to a request, an answer to vectors in the order of the texts; an answer that is none is refused."""

from __future__ import annotations

import base64
import json
import struct

import pytest

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import ErrorInAnswer, MalformedAnswer
from services.providers.adapters.openai_embeddings import OpenAIEmbeddings
from tests.unit.providers.samples import target


def packed(*values: float) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()


def answer(*vectors: object, **rest: object) -> bytes:
    rows = [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)]
    return json.dumps(
        {"object": "list", "data": rows, "usage": {"prompt_tokens": 7, "total_tokens": 7}} | rest
    ).encode()


def rows(*pairs: tuple[object, object]) -> bytes:
    return answer(data=[{"index": index, "embedding": vector} for index, vector in pairs])


def test_the_request_is_the_formats_own():
    encoded = OpenAIEmbeddings().encode(["a", "日本"], target(), dimensions=None)
    assert encoded.path == "/embeddings"
    assert json.loads(encoded.body) == {"model": "own-name", "input": ["a", "日本"], "encoding_format": "float"}
    short = json.loads(OpenAIEmbeddings().encode(["a"], target({"base64_vectors"}), dimensions=8).body)
    assert short == {"model": "own-name", "input": ["a"], "encoding_format": "base64", "dimensions": 8}


@pytest.mark.parametrize(
    "body",
    [
        answer([0.5, -1], [2, 0.25]),
        answer(packed(0.5, -1), packed(2, 0.25)),
        answer([0.5, -1], packed(2, 0.25)),
        rows((1, [2, 0.25]), (0, [0.5, -1])),
        rows((None, [0.5, -1]), (None, [2, 0.25])),
    ],
    ids=["numbers", "base64", "both", "another order", "no order"],
)
def test_vectors_come_in_the_order_of_the_texts(body):
    embedded = OpenAIEmbeddings().read(body, texts=2, dimensions=2)
    assert [list(vector) for vector in embedded.vectors] == [[0.5, -1.0], [2.0, 0.25]]
    assert embedded.usage == chat_pb2.Usage(input_uncached_tokens=7)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "malformed"),
        (b"<html>", "malformed"),
        (b"\xff\xfe", "malformed"),
        (b"[" * 100_000, "malformed"),
        (b"[]", "malformed"),
        (b"{}", "malformed"),
        (answer(data={}), "malformed"),
        (answer(), "empty"),
        (answer([1.0]), "malformed"),
        (answer([1.0], [1.0], [1.0]), "malformed"),
        (answer(data=[[1.0], [2.0]]), "malformed"),
        (answer([1.0, 2.0], [1.0]), "malformed"),
        (answer([], []), "malformed"),
        (answer([1.0], None), "malformed"),
        (answer([1.0], {}), "malformed"),
        (answer([1.0], ["2.0"]), "malformed"),
        (answer([1.0], [True]), "malformed"),
        (answer([1.0], [None]), "malformed"),
        (answer([1.0], [float("nan")]), "malformed"),
        (answer([1.0], [1e300]), "malformed"),
        (answer([1.0], [10**400]), "malformed"),
        (answer([1.0], "AAAA"), "malformed"),
        (answer([1.0], "not base64"), "malformed"),
        (answer([1.0], "日本"), "malformed"),
        (answer([1.0], packed(float("inf"))), "malformed"),
        (rows((0, [1.0]), (0, [1.0])), "malformed"),
        (rows((0, [1.0]), (2, [1.0])), "malformed"),
        (rows((0, [1.0]), ("1", [1.0])), "malformed"),
        (rows((0, [1.0]), (None, [1.0])), "malformed"),
        (rows((0, [1.0]), (True, [1.0])), "malformed"),
    ],
)
def test_an_answer_that_is_none_is_refused(body, kind):
    with pytest.raises(MalformedAnswer) as refused:
        OpenAIEmbeddings().read(body, texts=2, dimensions=None)
    assert refused.value.kind == kind


def test_vectors_of_another_length_than_asked_for_are_refused():
    with pytest.raises(MalformedAnswer) as refused:
        OpenAIEmbeddings().read(answer([1.0, 2.0]), texts=1, dimensions=3)
    assert refused.value.kind == "dimensions"


def test_more_than_a_message_carries_is_refused():
    with pytest.raises(MalformedAnswer) as refused:
        OpenAIEmbeddings().read(answer("A" * (44 * 1024 * 1024)), texts=1, dimensions=None)
    assert refused.value.kind == "too_large"


@pytest.mark.parametrize(("error", "said"), [({"code": "x"}, {"code": "x"}), ("no", {"message": "no"})])
def test_an_error_inside_a_good_status_is_an_error(error, said):
    with pytest.raises(ErrorInAnswer) as refused:
        OpenAIEmbeddings().read(json.dumps({"error": error}).encode(), texts=1, dimensions=None)
    assert refused.value.body == said


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 3, "total_tokens": 9}, 3),
        ({"total_tokens": 9}, 9),
        ({"prompt_tokens": 0, "total_tokens": 0}, None),
        ({"prompt_tokens": -1}, None),
        ({"prompt_tokens": True}, None),
        ({"prompt_tokens": 10**12}, None),
        ({"prompt_tokens": "3"}, None),
        (None, None),
    ],
)
def test_a_count_that_is_none_is_not_taken_for_one(usage, tokens):
    found = OpenAIEmbeddings().read(answer([1.0], usage=usage), texts=1, dimensions=None).usage
    assert (found.input_uncached_tokens if found else None) == tokens
