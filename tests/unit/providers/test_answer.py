"""An answer that grows: its fragments joined are its message."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from omnisphere.chat.v1 import chat_pb2
from services.providers.answer import Answer, made_up
from services.router.collect import Collector


def grown(deltas: list[chat_pb2.PartDelta]) -> list[tuple[str, str]]:
    """(kind, text) of the parts that the deltas make."""
    parts: dict[int, tuple[str, str]] = {}
    for delta in deltas:
        kind = str(delta.WhichOneof("content"))
        piece = delta.tool_call.arguments_json if kind == "tool_call" else getattr(delta, kind)
        before = parts.get(delta.part_index, (kind, ""))
        assert before[0] == kind
        parts[delta.part_index] = (kind, before[1] + piece)
    assert list(parts) == list(range(len(parts)))
    return list(parts.values())


def said(message: chat_pb2.Message) -> list[tuple[str, str]]:
    """(kind, text) of the message's parts."""
    found = []
    for part in message.parts:
        match part.WhichOneof("content"):
            case "reasoning":
                found.append(("reasoning", part.reasoning.text))
            case "tool_call":
                found.append(("tool_call", part.tool_call.arguments_json))
            case kind:
                found.append((str(kind), getattr(part, str(kind))))
    return found


def test_parts_stand_in_the_order_in_which_they_began():
    answer = Answer()
    answer.reasoning("hm")
    answer.text("yes")
    answer.tool_call("a", call_id="a", name="f", arguments="{}")
    answer.reasoning(", well")
    answer.refusal("no")
    assert said(answer.message()) == [
        ("reasoning", "hm, well"),
        ("text", "yes"),
        ("tool_call", "{}"),
        ("refusal", "no"),
    ]
    assert answer.message().role == chat_pb2.ROLE_ASSISTANT


def test_an_empty_piece_begins_nothing():
    answer = Answer()
    answer.text("")
    answer.reasoning("")
    answer.refusal("")
    assert answer.is_empty
    assert not answer.has_tool_calls
    assert answer.take() == []
    assert not answer.message().parts


def test_neighbours_of_one_part_travel_together():
    answer = Answer()
    for piece in ("a", "b", "c"):
        answer.text(piece)
    answer.reasoning("x")
    answer.text("d")
    assert [(delta.part_index, delta.text) for delta in answer.take()] == [(0, "abc"), (1, ""), (0, "d")]
    assert answer.take() == []


def test_only_the_first_fragment_of_a_call_brings_id_and_name():
    answer = Answer()
    answer.tool_call("a", call_id="a", name="f", arguments='{"x"')
    first = answer.take()
    answer.tool_call("a", call_id="a", name="f", arguments=":1}")
    second = answer.take()
    assert [(d.tool_call.id, d.tool_call.name, d.tool_call.arguments_json) for d in first] == [("a", "f", '{"x"')]
    assert [(d.tool_call.id, d.tool_call.name, d.tool_call.arguments_json) for d in second] == [("", "", ":1}")]
    call = answer.message().parts[0].tool_call
    assert (call.id, call.name, call.arguments_json) == ("a", "f", '{"x":1}')


def test_a_call_without_an_id_gets_one():
    answer = Answer()
    answer.text("so:")
    answer.tool_call("#0", call_id="", name="f", arguments="{}")
    assert answer.message().parts[1].tool_call.id == "call_1"
    assert answer.take()[1].tool_call.id == "call_1"


def test_calls_with_different_keys_grow_apart():
    answer = Answer()
    answer.tool_call("a", call_id="a", name="f", arguments="{")
    answer.tool_call("b", call_id="b", name="g", arguments="{}")
    answer.tool_call("a", call_id="", name="", arguments="}")
    answer.close_tool_calls()
    assert said(answer.message()) == [("tool_call", "{}"), ("tool_call", "{}")]
    assert not any(part.tool_call.arguments_invalid for part in answer.message().parts)


def test_a_call_without_arguments_has_an_empty_object():
    for nothing in ("", "  ", "null", " null "):
        answer = Answer()
        answer.tool_call("a", call_id="a", name="f", arguments=nothing)
        answer.take()
        answer.close_tool_calls()
        assert answer.message().parts[0].tool_call.arguments_json.strip() == "{}"
        assert not answer.message().parts[0].tool_call.arguments_invalid
        assert [delta.tool_call.arguments_json for delta in answer.take()] == ["{}"]


def test_arguments_that_are_no_object_are_kept_and_marked():
    for wrong in ('{"x":', "[1]", '"text"', "7"):
        answer = Answer()
        answer.tool_call("a", call_id="a", name="f", arguments=wrong)
        answer.take()
        answer.close_tool_calls()
        call = answer.message().parts[0].tool_call
        assert (call.arguments_json, call.arguments_invalid) == (wrong, True)
        assert [delta.tool_call.arguments_invalid for delta in answer.take()] == [True]


def test_output_is_counted_in_bytes():
    answer = Answer()
    answer.text("äö")
    answer.reasoning("x")
    answer.tool_call("a", call_id="long id", name="name", arguments="{}")
    assert answer.output_bytes == 4 + 1 + 2


PIECES = st.lists(st.tuples(st.sampled_from(["text", "reasoning", "refusal", "a", "b"]), st.text(max_size=4)))


@given(PIECES, st.sets(st.integers(0, 30)))
def test_the_deltas_joined_are_the_message_whenever_they_are_taken(pieces, stops):
    answer, deltas = Answer(), []
    for at, (kind, piece) in enumerate(pieces):
        match kind:
            case "text":
                answer.text(piece)
            case "reasoning":
                answer.reasoning(piece)
            case "refusal":
                answer.refusal(piece)
            case key:
                answer.tool_call(key, call_id=key, name="f", arguments=piece)
        if at in stops:
            deltas += answer.take()
    answer.close_tool_calls()
    deltas += answer.take()
    assert grown(deltas) == said(answer.message())


def heard(deltas: list[chat_pb2.PartDelta]) -> chat_pb2.Message:
    """The message that a reader of the deltas has."""
    collector = Collector()
    collector.apply(chat_pb2.Delta(parts=deltas))
    return collector.message()


def test_a_proof_stands_with_its_part_and_names_the_model():
    answer = Answer("m")
    answer.reasoning("hm", "0")
    answer.sign("reasoning", "s1", "0")
    answer.text("so", "1")
    answer.sign("text", "s2", "2")
    answer.tool_call("3", call_id="a", name="f", arguments="{}")
    answer.sign("tool_call", "s3", "3")
    parts = answer.message().parts
    assert [part.signature.value for part in parts] == ["s1", "", "s2", "s3"]
    assert {part.signature.origin_model for part in parts if part.HasField("signature")} == {"m"}
    assert heard(answer.take()) == answer.message()


def test_a_part_that_began_empty_keeps_its_place():
    answer = Answer("m")
    answer.begin("reasoning", "0")
    answer.begin("reasoning", "0")
    answer.text("a", "1")
    answer.sign("reasoning", "late", "0")
    kinds = [part.WhichOneof("content") for part in answer.message().parts]
    assert kinds == ["reasoning", "text"]
    assert heard(answer.take()) == answer.message()


def test_what_comes_whole_comes_once():
    answer = Answer("m")
    answer.redacted("opaque", "0")
    answer.redacted("again", "0")
    answer.text("a")
    first = answer.message().parts[0]
    assert (first.reasoning.redacted, first.signature.value, len(answer.message().parts)) == (True, "opaque", 2)
    deltas = answer.take()
    assert [delta.WhichOneof("content") for delta in deltas] == ["whole", "text"]
    assert heard(deltas) == answer.message()


def test_parts_of_one_kind_with_other_keys_stand_apart():
    answer = Answer("m")
    answer.text("a", "0")
    answer.tool_call("1", call_id="c", name="f", arguments="{}")
    answer.text("b", "2")
    assert said(answer.message()) == [("text", "a"), ("tool_call", "{}"), ("text", "b")]


def test_an_id_that_was_made_here_is_known_as_such():
    assert all(made_up(call_id) for call_id in ("call_0", "call_12"))
    assert not any(made_up(call_id) for call_id in ("call_a1", "call_12345", "c_1", ""))
