"""What a request needs, which models cannot take it, and what one will probably cost."""

from __future__ import annotations

import pytest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import decision_pb2
from services.router.plan import Candidate, Facts, Plan, described, expected_cost, facts_of, input_bound, unfit
from tests.unit.router.samples import model, talk, user

Dropped = decision_pb2.Candidate
PICTURE = chat_pb2.Part(image=chat_pb2.Image(data=b"x", media_type="image/png"))
FILE = chat_pb2.Part(document=chat_pb2.Document(data=b"x", media_type="application/pdf"))


def facts(*needs: str, size: int = 400, output: int = 100) -> Facts:
    return Facts("simple_qa", (), frozenset(needs), size, output)


def test_a_model_that_makes_vectors_takes_no_conversation():
    embedder = model("e", can=(*model("m").capabilities, model_pb2.CAPABILITY_EMBEDDINGS))
    assert unfit(embedder, facts()) == Dropped.DROPPED_CAPABILITY
    assert unfit(model("m"), facts()) == Dropped.DROPPED_UNSPECIFIED


def test_the_needs_are_those_of_the_whole_conversation():
    assert facts_of(talk("hello"), frozenset({"text"}), "t", ()).needs == frozenset()
    asked = talk(user(PICTURE), user(FILE))
    asked.tools.add(name="look")
    asked.response_format.kind = chat_pb2.ResponseFormat.KIND_JSON_SCHEMA
    kinds = frozenset({"text", "image", "document"})
    assert facts_of(asked, kinds, "t", ()).needs == {
        "tools",
        "schema",
        "image",
        "document",
    }


@pytest.mark.parametrize(("limit", "expected"), [(None, 300), (50, 50), (5_000, 300)])
def test_the_output_is_a_typical_one_or_the_callers_limit(limit, expected):
    asked = talk("hello")
    if limit is not None:
        asked.sampling.max_output_tokens = limit
    assert facts_of(asked, frozenset({"text"}), "t", ()).output_tokens == expected


def test_the_bound_is_never_below_the_bytes_of_the_text():
    for text in ("", "hello", "é" * 1_000, "日本語" * 500):
        assert input_bound(talk(text)) >= len(text.encode())


@pytest.mark.parametrize(
    ("states", "can", "needs", "why"),
    [
        ((), (), (), Dropped.DROPPED_NO_ENDPOINT),
        ((model_pb2.Endpoint.STATE_RESTING,), (), (), Dropped.DROPPED_RESTING),
        ((model_pb2.Endpoint.STATE_RESTING, model_pb2.Endpoint.STATE_READY), (), (), Dropped.DROPPED_UNSPECIFIED),
        ((model_pb2.Endpoint.STATE_READY,), (), ("tools",), Dropped.DROPPED_CAPABILITY),
        ((model_pb2.Endpoint.STATE_READY,), (model_pb2.CAPABILITY_IMAGES,), ("image",), Dropped.DROPPED_UNSPECIFIED),
        ((model_pb2.Endpoint.STATE_READY,), (model_pb2.CAPABILITY_IMAGES,), ("document",), Dropped.DROPPED_CAPABILITY),
        ((model_pb2.Endpoint.STATE_READY,), (), ("schema",), Dropped.DROPPED_CAPABILITY),
    ],
)
def test_a_model_that_cannot_take_the_request_says_why(states, can, needs, why):
    assert unfit(model("m", states=states, can=can), facts(*needs)) == why


def test_the_expected_cost_is_the_list_price_of_typical_tokens():
    # 100 tokens of input at 1 USD and 100 of output at 2 USD per million.
    assert expected_cost(model("m", price="1"), facts()) == chat_pb2.Cost(nanousd=300_000, priced=True)
    assert expected_cost(model("m", price=""), facts()) == chat_pb2.Cost(nanousd=0, priced=False)


def test_the_planned_models_are_described_first():
    dropped = Candidate(model("b"), "fallback", Dropped.DROPPED_RESTING)
    said = described(Plan("rule", (Candidate(model("a"), "primary"),), (dropped,)), facts())
    assert [(c.model, c.reason, c.dropped) for c in said] == [
        ("a", "primary", Dropped.DROPPED_UNSPECIFIED),
        ("b", "fallback", Dropped.DROPPED_RESTING),
    ]


@pytest.mark.parametrize("size", [130, 400, 16_000])
def test_tokens_are_guessed_from_what_was_written_and_not_from_its_wrapping(size):
    conversation = talk("x" * size)
    assert facts_of(conversation, frozenset(), "t", []).input_tokens == -(-size // 4)
    longer = talk("x" * size, "y" * size, "z" * size)
    assert facts_of(longer, frozenset(), "t", []).input_tokens == -(-3 * size // 4)
