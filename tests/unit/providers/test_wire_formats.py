"""What holds for every wire format: the same answer means the same, however it is cut, and nonsense breaks nothing."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import ErrorInAnswer, MalformedAnswer, WireFormat
from services.providers.adapters.formats import CHAT
from tests.unit.providers.reading import begun, read_stream, read_whole
from tests.unit.providers.wire_samples import ARGUMENTS, CALL_ID, SAMPLES, TEXT, THOUGHTS, TOOL

FORMATS: list[WireFormat] = sorted(SAMPLES)
every = pytest.mark.parametrize("name", FORMATS)
SIGNED = ("anthropic_messages", "gemini_generate", "openai_responses")


@every
def test_an_answer_says_the_same_in_every_format(name: WireFormat) -> None:
    message, ending = read_whole(name, SAMPLES[name].whole)
    assert [part.WhichOneof("content") for part in message.parts] == ["reasoning", "text", "tool_call"]
    thoughts, text, call = message.parts
    assert (thoughts.reasoning.text, text.text) == (THOUGHTS, TEXT)
    assert (call.tool_call.id, call.tool_call.name, call.tool_call.arguments_json) == (CALL_ID, TOOL, ARGUMENTS)
    assert (ending.finish_reason, ending.complete) == (chat_pb2.FINISH_REASON_TOOL_CALLS, True)
    usage = ending.usage
    assert usage is not None
    assert (usage.input_uncached_tokens, usage.output_tokens + usage.reasoning_tokens) == (9, 7)


@every
def test_a_stream_is_the_same_answer_whole_or_byte_by_byte(name: WireFormat) -> None:
    sample = SAMPLES[name]
    whole, whole_ending = read_whole(name, sample.whole)
    for chunks in ([sample.stream], [sample.stream[at : at + 1] for at in range(len(sample.stream))]):
        message, ending, heard = read_stream(name, chunks)
        assert message == heard == whole
        assert ending == whole_ending


@given(st.sampled_from(FORMATS), st.lists(st.integers(0, 10_000), max_size=6))
def test_an_answer_is_the_same_for_every_chunking(name: WireFormat, places: list[int]) -> None:
    stream = SAMPLES[name].stream
    edges = [0, *sorted(place % len(stream) for place in places), len(stream)]
    message, _, heard = read_stream(name, [stream[a:b] for a, b in pairwise(edges)])
    assert message == heard == read_whole(name, SAMPLES[name].whole)[0]


@every
def test_a_stream_that_is_cut_anywhere_is_not_complete(name: WireFormat) -> None:
    """But for what follows the last word: [DONE], the usage, the end of the last line."""
    stream = SAMPLES[name].stream
    words = {"openai_chat": b'"finish_reason": "tool_calls"', "gemini_generate": b'"finishReason"'}
    end = stream.rindex(words.get(name, stream.splitlines()[-1 if name == "ollama_chat" else -2][:40]))
    for at in range(0, end, 7):
        reading_ends = _ending_of_cut(name, stream[:at])
        assert reading_ends is None or not reading_ends.complete, at


def _ending_of_cut(name: WireFormat, stream: bytes) -> Any:
    try:
        return read_stream(name, [stream])[1]
    except MalformedAnswer:
        return None  # half an event


@every
def test_a_proof_stands_with_its_part_and_names_its_model(name: WireFormat) -> None:
    message, _ = read_whole(name, SAMPLES[name].whole)
    signed = [part.signature for part in message.parts if part.HasField("signature")]
    wanted = [(SAMPLES[name].proof, "m")] if name in SIGNED else []
    assert [(signature.value, signature.origin_model) for signature in signed] == wanted


@every
def test_an_error_object_in_a_200_is_an_error(name: WireFormat) -> None:
    error = {"error": {"type": "overloaded_error", "message": "busy"}}
    with pytest.raises(ErrorInAnswer) as whole:
        begun(name).whole(json.dumps(error).encode())
    with pytest.raises(ErrorInAnswer) as event:
        begun(name).event(json.dumps({"type": "error"} | error))
    assert whole.value.body == event.value.body == error["error"]


@every
@pytest.mark.parametrize("body", [b"", b"<html>hello</html>", b'{"half": ', b"[]", b"null", b'"text"', b"\xff\xfe"])
def test_a_body_that_is_not_the_protocol_is_malformed(name: WireFormat, body: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        begun(name).whole(body)


@every
def test_unknown_events_and_fields_are_no_failure(name: WireFormat) -> None:
    reading = begun(name)
    assert not reading.event('{"type": "something.new", "index": 3, "delta": {"type": "new_delta"}}')
    assert not reading.message().parts


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a document."""
    found = [path]
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        found += _places(each, (*path, key))
    return found


def _changed(value: Any, path: tuple[Any, ...], replacement: Any) -> Any:
    if not path:
        return replacement
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = _changed(copy[path[0]], path[1:], replacement)
    return copy


@given(st.data())
def test_a_value_of_any_kind_in_any_place_breaks_no_reader(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(FORMATS))
    whole = json.loads(SAMPLES[name].whole)
    events = [line.removeprefix(b"data: ") for line in SAMPLES[name].stream.splitlines() if b"{" in line]
    document = data.draw(st.sampled_from([whole, *(json.loads(event) for event in events)]))
    odd = _changed(document, data.draw(st.sampled_from(_places(document))), data.draw(JSON))
    reading = begun(name)
    try:
        if document is whole:
            reading.whole(json.dumps(odd).encode())
        else:
            reading.event(json.dumps(odd))
        reading.finish()
        reading.message().SerializeToString()
    except (MalformedAnswer, ErrorInAnswer):
        pass


@every
def test_a_key_stands_in_one_header_and_nowhere_else(name: WireFormat) -> None:
    adapter = CHAT[name]
    headers = adapter.headers("sk-canary", frozenset())
    assert sum("sk-canary" in value for value in headers.values()) == 1
    assert not any("canary" in value for value in adapter.headers("", frozenset()).values())
