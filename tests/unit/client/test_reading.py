"""Streams read without a network: the answer grows, a restart voids it, and only a proper end makes it whole."""

from __future__ import annotations

import pytest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere_client import (
    Event,
    ReasoningDelta,
    RefusalDelta,
    Restart,
    StreamInterrupted,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    WholePart,
)
from omnisphere_client.reading import Reading
from tests.unit.client.scripted import delta, end, restart, text


def _read(*messages: pb.StreamCompleteResponse) -> tuple[Reading, list[Event]]:
    reading = Reading()
    return reading, [event for message in messages for event in reading.take(message)]


def test_pieces_of_text_become_the_answer():
    reading, events = _read(text(0, "Good "), text(1, "morning"), end())
    assert events == [TextDelta("Good "), TextDelta("morning")]
    answer = reading.completion()
    assert (answer.text, answer.finish_reason, answer.model) == ("Good morning", "stop", "gpt-5")
    assert str(answer.cost) == "$0.0000015"


def test_every_kind_of_part_keeps_its_place_and_its_signature():
    picture = chat_pb2.Part(image=chat_pb2.Image(data=b"x", media_type="image/png"))
    signature = chat_pb2.Signature(value="c2ln", origin_model="m-1")
    call = chat_pb2.ToolCallDelta(id="c1", name="look", arguments_json='{"a"')
    reading, events = _read(
        delta(chat_pb2.PartDelta(part_index=0, reasoning="hm", signature=signature)),
        delta(chat_pb2.PartDelta(part_index=1, tool_call=call)),
        delta(chat_pb2.PartDelta(part_index=1, tool_call=chat_pb2.ToolCallDelta(arguments_json=": 1}"))),
        delta(chat_pb2.PartDelta(part_index=2, refusal="no")),
        delta(chat_pb2.PartDelta(part_index=3, whole=picture)),
        end(chat_pb2.FINISH_REASON_TOOL_CALLS),
    )
    assert events == [
        ReasoningDelta("hm"),
        ToolCallDelta(1, "c1", "look", '{"a"'),
        ToolCallDelta(1, "", "", ": 1}"),
        RefusalDelta("no"),
        WholePart(picture),
    ]
    answer = reading.completion()
    assert answer.tool_calls == [ToolCall("c1", "look", '{"a": 1}')]
    assert answer.tool_calls[0].arguments() == {"a": 1}
    assert (answer.refusal, answer.finish_reason) == ("no", "tool_calls")
    assert answer.message.parts[0].signature == signature
    assert answer.message.parts[3] == picture


def test_a_restart_voids_what_came():
    reading, events = _read(text(0, "Half an"), restart(), text(1, "Whole"), end())
    assert events == [TextDelta("Half an"), Restart("STREAM_INTERRUPTED", 2), TextDelta("Whole")]
    assert reading.completion().text == "Whole"


@pytest.mark.parametrize("last", [(), (end(chat_pb2.FINISH_REASON_ERROR),)], ids=["no end", "an end with an error"])
def test_an_answer_without_a_proper_end_is_never_whole(last):
    reading, _ = _read(text(0, "Half an"), *last)
    with pytest.raises(StreamInterrupted) as caught:
        reading.completion()
    assert caught.value.partial_text == "Half an"
    assert (caught.value.decision is not None) == bool(last)


def test_a_piece_of_a_later_release_is_passed_over():
    reading, events = _read(pb.StreamCompleteResponse(), delta(chat_pb2.PartDelta(part_index=0)), text(0, "a"), end())
    assert events == [TextDelta("a")]
    assert reading.completion().text == "a"


def test_arguments_that_are_no_json_object_say_so():
    with pytest.raises(ValueError, match="no JSON object"):
        ToolCall("c1", "look", "{broken", arguments_invalid=True).arguments()
