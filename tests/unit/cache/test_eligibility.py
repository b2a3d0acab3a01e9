"""Each row of the table in eligibility.py, and their order."""

from __future__ import annotations

from datetime import timedelta

import pytest

from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.chat.v1 import chat_pb2
from services.cache.eligibility import MOST_ENTRY_BYTES, Eligibility, eligibility
from tests.unit.cache.samples import query


def judged(asked: pb.Query, *, allow_sampled: bool = False) -> Eligibility:
    return eligibility(asked, pb.CacheControl(allow_sampled=allow_sampled))


def neither(reason: pb.CacheReason.ValueType) -> Eligibility:
    return Eligibility(exact=False, semantic=False, ttl_cap=None, reason=reason)


def test_a_plain_question_is_for_both_levels():
    assert judged(query()) == Eligibility(exact=True, semantic=True, ttl_cap=None, reason=pb.CACHE_REASON_UNSPECIFIED)


@pytest.mark.parametrize("temperature", [0.0, 0.1, 0.3])
def test_a_low_temperature_is_for_both_levels(temperature):
    asked = query()
    asked.conversation.sampling.temperature = temperature
    assert judged(asked).semantic


@pytest.mark.parametrize("temperature", [0.30001, 1.0, 2.0, float("inf"), float("nan")])
def test_a_high_temperature_is_for_neither_unless_the_caller_opts_in(temperature):
    asked = query()
    asked.conversation.sampling.temperature = temperature
    assert judged(asked) == neither(pb.CACHE_REASON_SAMPLED)
    assert judged(asked, allow_sampled=True).semantic


def test_memory_is_for_neither():
    assert judged(query(uses_memory=True)) == neither(pb.CACHE_REASON_USES_MEMORY)


def test_tools_are_for_the_exact_level():
    asked = query()
    asked.conversation.tools.add(name="f")
    assert judged(asked) == Eligibility(exact=True, semantic=False, ttl_cap=None, reason=pb.CACHE_REASON_TOOLS)


def test_a_tool_result_last_is_for_the_exact_level():
    asked = query()
    asked.conversation.messages.add(role=chat_pb2.ROLE_TOOL).parts.add().tool_result.tool_call_id = "1"
    assert judged(asked).reason == pb.CACHE_REASON_TOOLS
    assert judged(asked).exact
    assert not judged(asked).semantic


@pytest.mark.parametrize(
    "text",
    [
        "What's the weather in Oslo?",
        "Who is president NOW?",
        "latest Python release",
        "What happened this week?",
        "Current price of gold",
        "What time is it?",
        "What's the time?",
        "What is the date in Tokyo?",
        "Explain how garbage collection works now.",
        "Summarise: " + "x " * 5_000 + "as of today",
    ],
)
def test_a_volatile_question_is_exact_for_a_minute(text):
    minute = timedelta(seconds=60)
    assert judged(query(text)) == Eligibility(
        exact=True, semantic=False, ttl_cap=minute, reason=pb.CACHE_REASON_VOLATILE
    )


@pytest.mark.parametrize(
    "text",
    [
        "How do I know?",
        "Explain the concurrent snowball algorithm.",
        "What is the time complexity of quicksort?",
        "Priceless art",
        "Yesterdays",
        "Summarise: " + "x " * 5_000 + "in the news today, " + "y " * 5_000 + ".",
        "",
    ],
)
def test_other_questions_are_not_volatile(text):
    assert judged(query(text)).semantic


def test_only_the_last_user_text_makes_a_question_volatile():
    assert judged(query(system="Today is Monday.")).semantic


def test_a_question_stays_volatile_when_its_answer_is_begun():
    asked = query("weather?")
    asked.conversation.messages.add(role=chat_pb2.ROLE_ASSISTANT).parts.add(text="It is")
    assert judged(asked).reason == pb.CACHE_REASON_VOLATILE


def test_a_volatile_question_with_tools_keeps_the_short_life():
    asked = query("weather today")
    asked.conversation.tools.add(name="f")
    assert judged(asked).reason == pb.CACHE_REASON_VOLATILE


@pytest.mark.parametrize("depth", ["query", "message", "part"])
def test_unknown_fields_at_any_depth_are_for_neither(depth):
    unknown = b"\xa2\x3e\x01x"  # field 996, length 1
    asked = query(uses_memory=True)
    message = asked.conversation.messages[0]
    {"query": asked, "message": message, "part": message.parts[0]}[depth].MergeFromString(unknown)
    before = asked.SerializeToString()
    assert judged(asked, allow_sampled=True) == neither(pb.CACHE_REASON_UNKNOWN_FIELDS)
    assert asked.SerializeToString() == before


def test_what_is_larger_than_an_entry_is_for_neither():
    assert judged(query("x" * MOST_ENTRY_BYTES)) == neither(pb.CACHE_REASON_TOO_LARGE)
