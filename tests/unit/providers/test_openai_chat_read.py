"""Whatever a provider sends is read as it was meant, whole and as a stream, or called malformed."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Ending, ErrorInAnswer, MalformedAnswer
from services.providers.adapters.openai_chat import OpenAIChat
from services.providers.sse import EventStream

Degradation = chat_pb2.Degradation


def sse(*chunks: object, done: bool = True) -> bytes:
    lines = [f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n" for chunk in chunks]
    return "".join([*lines, "data: [DONE]\n\n"] if done else lines).encode()


def delta(finish: str | None = None, **fields: object) -> dict[str, object]:
    return {"id": "up-1", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def whole(finish: str | None = "stop", usage: object = None, **fields: object) -> dict[str, object]:
    choice = {"index": 0, "message": {"role": "assistant", **fields}, "finish_reason": finish}
    return {"id": "up-1", "choices": [choice]} | ({"usage": usage} if usage else {})


def read_whole(document: object) -> tuple[chat_pb2.Message, Ending]:
    reading = OpenAIChat().reading(model="m")
    reading.whole(json.dumps(document, ensure_ascii=False).encode())
    _, ending = reading.finish()
    return reading.message(), ending


def read_stream(chunks: list[bytes]) -> tuple[chat_pb2.Message, Ending, list[chat_pb2.PartDelta]]:
    reading, events = OpenAIChat().reading(model="m"), EventStream()
    deltas: list[chat_pb2.PartDelta] = []
    for chunk in chunks:
        for data in events.feed(chunk):
            deltas += reading.event(data)
    for data in events.end():
        deltas += reading.event(data)
    last, ending = reading.finish()
    return reading.message(), ending, [*deltas, *last]


def joined(deltas: list[chat_pb2.PartDelta]) -> chat_pb2.Message:
    """The message that a reader of the deltas has in the end."""
    made = chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT)
    for piece in deltas:
        if piece.part_index == len(made.parts):
            made.parts.add()
        part = made.parts[piece.part_index]
        match piece.WhichOneof("content"):
            case "text":
                part.text += piece.text
            case "reasoning":
                part.reasoning.text += piece.reasoning
            case "refusal":
                part.refusal += piece.refusal
            case _:
                part.tool_call.id += piece.tool_call.id
                part.tool_call.name += piece.tool_call.name
                part.tool_call.arguments_json += piece.tool_call.arguments_json
                part.tool_call.arguments_invalid |= piece.tool_call.arguments_invalid
    return made


def fragment(index: int, arguments: str, call_id: str | None = None, name: str | None = None) -> dict[str, object]:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    return {"index": index, "function": function} | ({"id": call_id, "type": "function"} if call_id else {})


def full_call(call_id: str, name: str, arguments: str) -> dict[str, object]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
# The same content, whole and as a stream.
PAIRS: dict[str, tuple[dict[str, object], bytes]] = {
    "text": (
        whole(content="Grüß dich 😀", usage=USAGE),
        sse(
            delta(role="assistant", content=""),
            delta(content="Grüß"),
            delta(content=" dich 😀"),
            delta("stop"),
            {"id": "up-1", "choices": [], "usage": USAGE},
        ),
    ),
    "reasoning": (
        whole(reasoning_content="hm", content="yes", usage=USAGE),
        sse(delta(reasoning_content="h"), delta(reasoning="m"), delta("stop", content="yes") | {"usage": USAGE}),
    ),
    "pieces of both kinds": (
        whole(
            content=[{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "y"}]
        ),
        sse(
            delta(content=[{"type": "thinking", "thinking": [{"text": "h"}]}]),
            delta(content=[{"type": "thinking", "thinking": [{"text": "m"}]}]),
            delta("stop", content="y"),
        ),
    ),
    "calls": (
        whole("tool_calls", content=None, tool_calls=[full_call("a", "f", '{"x":1}'), full_call("b", "g", "")]),
        sse(
            delta(tool_calls=[fragment(0, "", "a", "f")]),
            delta(tool_calls=[fragment(0, '{"x"')]),
            delta(tool_calls=[fragment(0, ":1}")]),
            delta(tool_calls=[fragment(1, "", "b", "g")]),
            delta("tool_calls"),
        ),
    ),
    "calls that share an index": (
        whole("tool_calls", tool_calls=[full_call("a", "f", "{}"), full_call("b", "g", "{}")]),
        sse(
            delta(tool_calls=[fragment(0, "{}", "a", "f")]),
            delta("tool_calls", tool_calls=[fragment(0, "{}", "b", "g")]),
        ),
    ),
    "calls that repeat their id": (
        whole("tool_calls", tool_calls=[full_call("a", "f", '{"x":1}')]),
        sse(
            delta(tool_calls=[fragment(0, '{"x"', "a", "f")]),
            delta("tool_calls", tool_calls=[fragment(0, ":1}", "a", "f")]),
        ),
    ),
    "arguments that are no object": (
        whole("tool_calls", tool_calls=[full_call("a", "f", '{"x":')]),
        sse(delta(tool_calls=[fragment(0, '{"x"', "a", "f")]), delta("tool_calls", tool_calls=[fragment(0, ":")])),
    ),
    "a refusal": (
        whole(content=None, refusal="I must not."),
        sse(delta(refusal="I must"), delta(refusal=" not."), delta("stop")),
    ),
    "nothing at all": (whole("length", content="", usage=USAGE), sse(delta("length") | {"usage": USAGE})),
}


@pytest.mark.parametrize("name", PAIRS)
def test_an_answer_is_the_same_whole_and_streamed(name):
    document, stream = PAIRS[name]
    message, ending = read_whole(document)
    for chunks in ([stream], [stream[at : at + 1] for at in range(len(stream))]):
        streamed, streamed_ending, deltas = read_stream(chunks)
        assert streamed == message
        assert joined(deltas) == message
        assert streamed_ending == ending
    assert ending.complete


def test_fields_that_are_empty_beside_the_text_change_nothing():
    padded = whole(content="yes", refusal=None, annotations=[], tool_calls=[], reasoning_content="", audio=None)
    assert read_whole(padded) == read_whole(whole(content="yes"))
    refused, _ = read_whole(whole(content="", refusal="no"))
    assert [part.refusal for part in refused.parts] == ["no"]


def test_the_answer_and_its_model_have_the_providers_names():
    reading = OpenAIChat().reading(model="m")
    reading.event(json.dumps(delta(content="a") | {"model": "m-2026-01-01"}))
    assert (reading.upstream_id, reading.upstream_model) == ("up-1", "m-2026-01-01")


@given(st.sampled_from(sorted(PAIRS)), st.lists(st.integers(0, 5_000), max_size=8))
def test_an_answer_is_the_same_for_every_chunking(name, places):
    document, stream = PAIRS[name]
    edges = [0, *sorted(place % len(stream) for place in places), len(stream)]
    streamed, _, deltas = read_stream([stream[a:b] for a, b in pairwise(edges)])
    assert streamed == joined(deltas) == read_whole(document)[0]


def test_parts_of_an_answer_are_what_was_sent():
    parts = read_whole(PAIRS["calls"][0])[0].parts
    calls = [(part.tool_call.id, part.tool_call.name, part.tool_call.arguments_json) for part in parts]
    assert calls == [("a", "f", '{"x":1}'), ("b", "g", "{}")]
    invalid = read_whole(PAIRS["arguments that are no object"][0])[0].parts[0].tool_call
    assert (invalid.arguments_json, invalid.arguments_invalid) == ('{"x":', True)
    thought, said = read_whole(PAIRS["reasoning"][0])[0].parts
    assert (thought.reasoning.text, said.text) == ("hm", "yes")


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "STOP"),
        ("end_turn", "STOP"),
        ("eos", "STOP"),
        ("length", "LENGTH"),
        ("max_tokens", "LENGTH"),
        ("model_length", "LENGTH"),
        ("tool_calls", "TOOL_CALLS"),
        ("function_call", "TOOL_CALLS"),
        ("content_filter", "CONTENT_FILTER"),
        ("error", "ERROR"),
        ("something_new", "OTHER"),
    ],
)
def test_every_finish_word_has_its_reason(word, reason):
    _, ending = read_whole(whole(word, content="x"))
    assert chat_pb2.FinishReason.Name(ending.finish_reason) == f"FINISH_REASON_{reason}"
    assert ending.provider_finish_reason == word


@pytest.mark.parametrize("word", ["stop", None])
def test_an_answer_with_calls_waits_for_their_results_whatever_word_came(word):
    _, ending = read_whole(whole(word, tool_calls=[full_call("a", "f", "{}")]))
    assert ending.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS
    _, ending = read_whole(whole("length", tool_calls=[full_call("a", "f", "{")]))
    assert ending.finish_reason == chat_pb2.FINISH_REASON_LENGTH


def test_older_and_foreign_forms_of_calls_are_read():
    old = read_whole(whole("function_call", function_call={"name": "f", "arguments": "{}"}))[0].parts[0].tool_call
    assert (old.id, old.name, old.arguments_json) == ("call_0", "f", "{}")
    objects = [{"id": "a", "function": {"name": "f", "arguments": {"x": 1}}}]
    assert read_whole(whole(tool_calls=objects))[0].parts[0].tool_call.arguments_json == '{"x":1}'
    assert read_whole(whole(content=[{"type": "thinking", "thinking": "hm"}]))[0].parts[0].reasoning.text == "hm"


def test_a_second_alternative_is_not_read():
    document = whole(content="one")
    document["choices"].append({"index": 1, "message": {"content": "two"}})  # type: ignore[attr-defined]
    assert [part.text for part in read_whole(document)[0].parts] == ["one"]
    other = {"choices": [{"index": 1, "delta": {"content": "two"}}]}
    assert [part.text for part in read_stream([sse(delta(content="one"), other, delta("stop"))])[0].parts] == ["one"]


@pytest.mark.parametrize(
    ("raw", "classes"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5}, (10, 0, 0, 5, 0)),
        ({"prompt_tokens": 10, "prompt_tokens_details": {"cached_tokens": 4}}, (6, 4, 0, 0, 0)),
        ({"prompt_tokens": 10, "prompt_cache_hit_tokens": 4}, (6, 4, 0, 0, 0)),
        ({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3}}, (2, 4, 3, 0, 0)),
        ({"completion_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 4}}, (0, 0, 0, 5, 4)),
        # xAI: reasoning on top, as the total shows.
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 2,
                "total_tokens": 15,
                "completion_tokens_details": {"reasoning_tokens": 3},
            },
            (10, 0, 0, 2, 3),
        ),
        # Parts that are larger than their total, as Grok at Azure reports them.
        ({"prompt_tokens": 4, "prompt_tokens_details": {"cached_tokens": 9, "cache_write_tokens": 9}}, (0, 4, 0, 0, 0)),
        ({"completion_tokens": 2, "completion_tokens_details": {"reasoning_tokens": 9}}, (0, 0, 0, 0, 2)),
        # What is no count.
        ({"prompt_tokens": None, "completion_tokens": -1, "prompt_tokens_details": None}, (0, 0, 0, 0, 0)),
        ({"prompt_tokens": 10**30, "completion_tokens": "7", "prompt_tokens_details": []}, (0, 0, 0, 0, 0)),
    ],
)
def test_totals_become_disjoint_classes(raw, classes):
    usage = read_whole(whole(content="x", usage=raw))[1].usage
    assert usage is not None
    assert classes == (
        usage.input_uncached_tokens,
        usage.input_cache_read_tokens,
        usage.input_cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
    )
    assert not usage.estimated


def test_usage_is_found_where_some_servers_put_it():
    in_choice = delta("stop", content="x")
    in_choice["choices"][0]["usage"] = USAGE  # type: ignore[index]
    for chunk in (in_choice, delta("stop", content="x") | {"x_groq": {"usage": USAGE}}):
        usage = read_stream([sse(chunk)])[1].usage
        assert usage is not None
        assert (usage.input_uncached_tokens, usage.output_tokens) == (10, 5)
    assert read_stream([sse(delta("stop", content="x"))])[1].usage is None


@pytest.mark.parametrize("done", [True, False])
def test_a_stream_is_complete_with_a_finish_word_or_the_end_mark(done):
    assert read_stream([sse(delta("stop", content="x"), done=done)])[1].complete
    assert read_stream([sse(delta(content="x"), done=done)])[1].complete is done


@pytest.mark.parametrize("stream", [b"", b"data: [DONE]\n\n", b": hello\n\n", sse(delta(role="assistant", content=""))])
def test_a_stream_in_which_nothing_was_said_is_not_complete(stream):
    message, ending, _ = read_stream([stream])
    assert not message.parts
    assert not ending.complete


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"[]", b"null", b"{}", b'{"choices": {}}', b"[" * 100_000])
def test_a_body_that_is_not_the_format_is_malformed(body):
    with pytest.raises(MalformedAnswer) as refused:
        OpenAIChat().reading(model="m").whole(body)
    assert refused.value.kind == "malformed"


def test_an_answer_without_a_choice_is_empty():
    with pytest.raises(MalformedAnswer) as refused:
        read_whole({"choices": []})
    assert refused.value.kind == "empty"
    assert not read_whole({"choices": [{}]})[1].complete


@pytest.mark.parametrize("data", ["{", "<html>", "[]", "7", '{"choices": 7}', '{"choices": [7]}', "[" * 100_000])
def test_an_event_that_is_not_the_format_is_malformed(data):
    with pytest.raises(MalformedAnswer):
        OpenAIChat().reading(model="m").event(data)


@pytest.mark.parametrize("error", [{"message": "x", "code": 429}, "overloaded", ["x"], {"type": "server_error"}])
def test_an_error_inside_an_answer_is_an_error(error):
    for read in (read_whole, lambda document: read_stream([sse(delta(content="a"), document)])):
        with pytest.raises(ErrorInAnswer) as refused:
            read({"error": error})
        assert isinstance(refused.value.body, dict)
    assert read_whole(whole(content="x") | {"error": None})[1].complete


def test_half_a_surrogate_pair_becomes_a_replacement_character():
    body = b'{"choices":[{"message":{"content":"a\\ud83d b \\ud83d\\ude00 \\\\ud83d"},"finish_reason":"stop"}]}'
    reading = OpenAIChat().reading(model="m")
    reading.whole(body)
    assert reading.message().parts[0].text == "a\ufffd b 😀 \\ud83d"
    streamed = read_stream([b"data: " + body.replace(b"message", b"delta") + b"\n\n"])[0]
    assert streamed == reading.message()


NAMES = st.sampled_from(
    [
        "choices",
        "delta",
        "message",
        "content",
        "type",
        "text",
        "thinking",
        "tool_calls",
        "function",
        "function_call",
        "name",
        "arguments",
        "id",
        "index",
        "finish_reason",
        "usage",
        "prompt_tokens",
        "prompt_tokens_details",
        "x_groq",
    ]
)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | st.just("thinking")
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)


@given(JSON, st.dictionaries(NAMES, JSON, max_size=4), st.dictionaries(NAMES, JSON, max_size=4))
def test_whatever_a_provider_sends_is_read_or_called_malformed(anything, message, choice):
    """No provider can make an exception that the service does not know."""
    for document in (anything, {"choices": [choice | {"message": message, "delta": message}], "usage": choice}):
        for read in (read_whole, lambda document: read_stream([sse(document)])):
            try:
                read(document)
            except (MalformedAnswer, ErrorInAnswer):
                continue
