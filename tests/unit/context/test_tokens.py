"""A conversation's count is that of its messages, tools and marks."""

from __future__ import annotations

import pytest

from omnisphere.chat.v1 import chat_pb2 as chat
from services.context.families import Tokens
from services.context.memo import Memo
from services.context.ranks import CL100K, O200K, Encodings
from services.context.tokens import TokenCounter
from tests.unit.context.conversations import assistant, conversation, system, user


@pytest.mark.parametrize(("model", "encoding"), [("gpt-5", O200K), ("o3", O200K), ("gpt-4", CL100K)])
def test_counts_agree_with_plain_tiktoken_for_openai(counter, encodings, model, encoding):
    texts = ["You are kind.", "Grüße, 你好 and <|endoftext|> 🎉", "def f():\n\treturn 1"]
    asked = conversation(system(texts[0]), user(texts[1]), assistant(texts[2]))
    plain = sum(len(encodings.get(encoding).encode_ordinary(text)) for text in texts)
    counted = counter.count(asked, model)
    assert counted.total() == Tokens(plain + 3 * 4 + 3, plain + 3 * 4 + 3)
    assert counted.encoding == encoding


def test_tools_and_answer_schema_are_in_the_fixed_part(counter):
    plain = conversation(user("hi"))
    asked = conversation(user("hi"), tools=2)
    with_tools = counter.count(asked, "claude-opus-4").fixed
    assert with_tools.upper_bound > counter.count(plain, "claude-opus-4").fixed.upper_bound + 530
    asked.response_format.CopyFrom(chat.ResponseFormat(name="a", schema_json="{}"))
    assert counter.count(asked, "claude-opus-4").fixed.estimate > with_tools.estimate


def test_totals_of_some_messages(counter):
    counted = counter.count(conversation(user("one"), assistant("two"), user("three")), "gpt-5")
    assert counted.total([]) == counted.fixed == Tokens(3, 3)
    assert counted.total([0, 2]) == Tokens(3 + 5 + 5, 3 + 5 + 5)
    assert counted.total([0, 1, 2]) == counted.total()


def test_what_counts_is_named(counter):
    counted = counter.count(conversation(user("one")), "gpt-4")
    said = counted.as_message(counted.total())
    assert (said.encoding, said.calibration_version) == ("cl100k_base", "uncalibrated")
    assert (said.estimate, said.upper_bound) == (8, 8)


def test_is_not_ready_before_its_encoding_is_loaded():
    fresh = TokenCounter(Encodings(), Memo(10))
    assert not fresh.is_ready("gpt-4")
    fresh.count(conversation(user("hi")), "gpt-4")
    assert fresh.is_ready("gpt-4")
    assert not fresh.is_ready("gpt-5")
