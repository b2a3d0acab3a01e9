"""Plain Python values become the contract's conversation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere_client import CacheOptions, ToolCall, assistant, document, image, system, tool, tool_result, user
from omnisphere_client.messages import turns
from omnisphere_client.options import AskOptions, explain_request, request, stream_request
from omnisphere_client.records import embed_request, usage_request


def _sent(**options: object) -> chat_pb2.Conversation:
    return request("Hi", AskOptions(**options)).conversation  # type: ignore[typeddict-item]


def test_a_text_is_one_question():
    assert turns("Hi") == [user("Hi")]


def test_dictionaries_and_messages_mix():
    said = turns([{"role": "system", "content": "Be brief."}, user("Hi"), {"role": "assistant", "content": ["Hello"]}])
    assert said == [system("Be brief."), user("Hi"), assistant("Hello")]


def test_a_role_that_is_none_is_named():
    with pytest.raises(ValueError, match="'robot' is none of"):
        turns([{"role": "robot", "content": "x"}])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        ({"role": "user"}, "a turn has no content"),
        ({"content": "x"}, "role None is none of system"),
        (
            {"role": "user", "content": [{"type": "text", "text": "x"}]},
            r"texts, image\(\) and document\(\), not of dict",
        ),
    ],
)
def test_what_is_no_turn_is_said_in_words(turn: Any, said: str):
    with pytest.raises((ValueError, TypeError), match=said):
        turns([turn])


def test_pictures_and_files_travel_as_bytes_or_by_address():
    said = user("What is this?", image(b"\x89PNG", "image/png", detail="low"), image("https://example.org/a.png"))
    assert said.parts[1].image == chat_pb2.Image(data=b"\x89PNG", media_type="image/png", detail="low")
    assert said.parts[2].image.remote_uri == "https://example.org/a.png"
    assert document(b"%PDF", "application/pdf", name="a.pdf").document.name == "a.pdf"
    assert document("https://example.org/a.pdf").document.remote_uri
    with pytest.raises(ValueError, match="media type"):
        image(b"\x89PNG")


def test_tools_and_their_results_keep_json_as_text():
    made = tool("look", "Looks.", {"type": "object", "properties": {}}, strict=True)
    assert made.parameters_json == '{"type": "object", "properties": {}}'
    assert tool("look", parameters='{"b":1,"a":2}').parameters_json == '{"b":1,"a":2}'
    answer = tool_result(ToolCall("c1", "look", "{}"), "seen", is_error=True)
    assert answer.role == chat_pb2.ROLE_TOOL
    assert answer.parts[0].tool_result == chat_pb2.ToolResult(
        tool_call_id="c1", name="look", parts=[chat_pb2.Part(text="seen")], is_error=True
    )


def test_what_is_not_said_is_not_sent():
    asked = request("Hi", AskOptions())
    assert not asked.conversation.HasField("sampling")
    assert not asked.conversation.HasField("tool_choice")
    assert not asked.conversation.HasField("response_format")
    assert not asked.options.HasField("cache")


def test_zero_is_sent_where_it_differs_from_nothing():
    sampling = _sent(temperature=0.0, seed=0).sampling
    assert sampling.HasField("temperature")
    assert sampling.HasField("seed")
    assert not sampling.HasField("top_p")


def test_every_option_finds_its_field():
    every = AskOptions(
        model="claude-sonnet",
        policy="cheap",
        task="code_review",
        system="Be brief.",
        tools=[tool("look")],
        tool_choice="look",
        response_format={"type": "object"},
        temperature=0.5,
        top_p=1.0,
        max_output_tokens=100,
        stop=["END"],
        seed=7,
        reasoning_effort="low",
        vendor_options={"user": "ann"},
        request_id="r-1",
        cache=CacheOptions(
            read=False,
            write=False,
            only=True,
            max_age=timedelta(minutes=1),
            ttl=timedelta(hours=1),
            sampled=True,
            tags=["t"],
        ),
        region_tags=["eu"],
        max_cost_nanousd=5,
        inline_policy="x",
        conversation_id="c-1",
        memory=True,
    )
    assert set(every) == AskOptions.__optional_keys__
    asked = request("Hi", every)
    assert asked.model == "claude-sonnet"
    assert list(asked.conversation.messages) == [system("Be brief."), user("Hi")]
    assert asked.conversation.tool_choice == chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_NAMED, name="look")
    assert asked.conversation.response_format.schema_json == '{"type": "object"}'
    assert asked.conversation.vendor_options_json == '{"user": "ann"}'
    control = cache_pb.CacheControl(no_cache=True, no_store=True, only_if_cached=True, allow_sampled=True, tags=["t"])
    control.max_age.FromSeconds(60)
    control.ttl.FromSeconds(3600)
    assert asked.options.cache == control
    assert (asked.options.request_id, asked.options.policy, asked.options.task_hint) == ("r-1", "cheap", "code_review")
    for message in (asked, asked.options, asked.options.cache, asked.conversation, asked.conversation.sampling):
        said = {field.name for field, _ in message.ListFields()}
        unsaid = {field.name for field in message.DESCRIPTOR.fields} - said
        assert unsaid == set(), f"a caller cannot say these of {message.DESCRIPTOR.full_name}: AskOptions lacks them"
    assert explain_request("Hi", every).conversation == asked.conversation
    streamed = stream_request("Hi", every, restart=True, fast=True)
    assert (streamed.conversation, streamed.options) == (asked.conversation, asked.options)
    assert streamed.on_interruption
    assert streamed.stream_mode


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("text", chat_pb2.ResponseFormat.KIND_TEXT),
        ("json", chat_pb2.ResponseFormat.KIND_JSON_OBJECT),
        ('{"type": "object"}', chat_pb2.ResponseFormat.KIND_JSON_SCHEMA),
        (chat_pb2.ResponseFormat(kind=chat_pb2.ResponseFormat.KIND_TEXT), chat_pb2.ResponseFormat.KIND_TEXT),
    ],
)
def test_the_form_of_the_answer_is_a_word_or_a_schema(form, kind):
    assert _sent(response_format=form).response_format.kind == kind


def test_a_choice_of_tools_is_a_word_a_name_or_the_message_itself():
    whole = chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_AUTO, disable_parallel=True)
    assert _sent(tool_choice="required").tool_choice.mode == chat_pb2.ToolChoice.MODE_REQUIRED
    assert _sent(tool_choice=whole).tool_choice == whole


def test_a_misspelt_option_is_named():
    with pytest.raises(TypeError, match="temprature"):
        _sent(temprature=0.5)


def test_times_must_say_their_zone():
    asked = usage_request(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC), ["model", "day"])
    assert (asked.until.seconds - asked.since.seconds, len(asked.group_by)) == (86_400, 2)
    with pytest.raises(ValueError, match="zone"):
        usage_request(datetime(2026, 1, 1), None, [])  # noqa: DTZ001


def test_every_option_of_vectors_finds_its_field():
    asked = embed_request(["a", "b"], model="e", dimensions=8, request_id="r-1")
    assert {field.name for field, _ in asked.ListFields()} == {field.name for field in asked.DESCRIPTOR.fields}
    assert not embed_request(["a"], model="e", dimensions=None, request_id="").HasField("dimensions")
    with pytest.raises(TypeError, match="a list of texts"):
        embed_request("ab", model="e", dimensions=None, request_id="")
