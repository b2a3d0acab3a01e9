"""Vectors over HTTP as OpenAI sends them, refusals in its words, and books that know what was served."""

from __future__ import annotations

import base64
from array import array
from typing import Any

import pytest

from services.simulator.faults import FaultKind

SMALL = "text-embedding-3-small"


async def embedded(client, **body: object) -> tuple[int, dict[str, Any]]:
    async with client.post({"model": SMALL, **body}, "/v1/embeddings") as response:
        return response.status, await response.json()


async def test_each_text_has_its_vector_in_order(client, simulator):
    status, whole = await embedded(client, input=["one", "two", "one"])
    assert (status, whole["object"], whole["model"]) == (200, "list", SMALL)
    assert [row["index"] for row in whole["data"]] == [0, 1, 2]
    vectors = [row["embedding"] for row in whole["data"]]
    assert [len(vector) for vector in vectors] == [1536] * 3
    assert vectors[0] == vectors[2] != vectors[1]
    assert whole["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    account = simulator.books.account(SMALL)
    assert (account.completed, account.input_tokens, account.output_tokens) == (1, 3, 0)
    assert account.cost_nanousd == 60


async def test_base64_holds_the_same_floats(client):
    _, plain = await embedded(client, input="hello", dimensions=5)
    _, packed = await embedded(client, input="hello", dimensions=5, encoding_format="base64")
    floats = array("f", base64.b64decode(packed["data"][0]["embedding"]))
    assert list(array("f", plain["data"][0]["embedding"])) == list(floats)
    assert len(floats) == 5


@pytest.mark.parametrize(
    ("sent", "status", "param", "text"),
    [
        ({}, 400, "input", "string"),
        ({"input": []}, 400, "input", "string"),
        ({"input": ""}, 400, "input", "non-empty"),
        ({"input": ["a", ""]}, 400, "input", "non-empty"),
        ({"input": [1, 2]}, 400, "input", "non-empty"),
        ({"input": ["a"] * 2049}, 400, "input", "2048"),
        ({"input": "a", "encoding_format": "hex"}, 400, "encoding_format", "base64"),
        ({"input": "a", "dimensions": 0}, 400, None, "minimum of 1"),
        ({"input": "a", "dimensions": 1537}, 400, "dimensions", "1536"),
        ({"input": "a", "dimensions": True}, 400, "dimensions", "integer"),
        ({"input": "x" * 4 * 8193}, 400, "messages", "8192 tokens"),
        ({"input": "a", "model": "gpt-5"}, 403, None, "not allowed"),
        ({"input": "a", "model": "gpt-99"}, 404, None, "gpt-99"),
    ],
)
async def test_a_bad_request_is_answered_with_what_is_wrong(client, simulator, sent, status, param, text):
    got, answer = await embedded(client, **sent)
    assert (got, answer["error"]["param"]) == (status, param)
    assert text in answer["error"]["message"]
    total = simulator.books.total()
    assert (total.requests, total.failed, total.cost_nanousd) == (1, 1, 0)


async def test_a_model_that_makes_vectors_answers_no_conversation(client, simulator):
    answer = await client.ask("Hello", SMALL)
    assert "not a chat model" in answer["error"]["message"]
    assert simulator.books.account(SMALL).failed == 1


@pytest.mark.parametrize("kind", sorted(set(FaultKind) - {"reset", "silence", "cut", "stall", "drip", "slow_first"}))
async def test_faults_meet_vectors_as_they_meet_answers(client, simulator, kind):
    await client.fault(kind=kind, model=SMALL)
    async with client.post({"model": SMALL, "input": "hello"}, "/v1/embeddings") as response:
        await response.read()
        assert (response.status == 200) == (kind not in {"status", "content_filter", "context_length"})
    assert simulator.books.account(SMALL).completed == (1 if kind in {"no_done", "none", "billed_empty"} else 0)
    assert simulator.faults.waiting() == []
