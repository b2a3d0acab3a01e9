"""The Chat Completions format: every field out, every answer in, whole or in pieces."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisphere.chat.v1 import chat_pb2
from services.chassis.errors import InvalidRequest
from services.providers.adapters import Ending, ErrorInAnswer, MalformedAnswer
from services.providers.adapters.openai_chat import OpenAIChat
from services.providers.sse import EventStream
from tests.unit.providers.samples import conversation, message, text, user

Degradation = chat_pb2.Degradation
NOTHING: frozenset[str] = frozenset()


def encoded(said: chat_pb2.Conversation, *, stream: bool = False, quirks: frozenset[str] = NOTHING) -> Any:
    return json.loads(OpenAIChat().encode(said, model="own-name", stream=stream, quirks=quirks).body)


def lost(said: chat_pb2.Conversation) -> list[tuple[str, str]]:
    """(kind, subject) of the degradations."""
    found = OpenAIChat().encode(said, model="m", stream=False, quirks=NOTHING).degradations
    return [(Degradation.Kind.Name(entry.kind).removeprefix("KIND_"), entry.subject) for entry in found]


def assistant(*parts: chat_pb2.Part) -> chat_pb2.Message:
    return message(chat_pb2.ROLE_ASSISTANT, *parts)


def call(name: str, arguments: str = "{}", call_id: str = "c1") -> chat_pb2.Part:
    return chat_pb2.Part(tool_call=chat_pb2.ToolCall(id=call_id, name=name, arguments_json=arguments))


def result(call_id: str, *parts: chat_pb2.Part, is_error: bool = False) -> chat_pb2.Part:
    return chat_pb2.Part(tool_result=chat_pb2.ToolResult(tool_call_id=call_id, parts=parts, is_error=is_error))


# ------------------------------------------------------------------ requests


def test_the_least_conversation_is_the_least_request():
    request = OpenAIChat().encode(conversation(), model="own-name", stream=False, quirks=NOTHING)
    assert request.path == "/chat/completions"
    assert request.degradations == ()
    assert json.loads(request.body) == {
        "model": "own-name",
        "messages": [{"role": "user", "content": "hello"}],
        "stream": False,
    }


def test_a_stream_asks_for_its_usage():
    body = encoded(conversation(), stream=True)
    assert (body["stream"], body["stream_options"]) == (True, {"include_usage": True})


def test_every_sampling_field_is_sent_and_an_unset_one_is_not():
    sampling = chat_pb2.Sampling(
        temperature=0.0,
        top_p=0.5,
        max_output_tokens=7,
        stop=["a", "b"],
        seed=0,
        reasoning_effort=chat_pb2.REASONING_EFFORT_HIGH,
    )
    body = encoded(conversation(sampling=sampling))
    del body["model"], body["messages"], body["stream"]
    assert body == {
        "temperature": 0.0,
        "top_p": 0.5,
        "max_tokens": 7,
        "stop": ["a", "b"],
        "seed": 0,
        "reasoning_effort": "high",
    }


@pytest.mark.parametrize("effort", ["none", "low", "medium", "high"])
def test_every_reasoning_effort_has_its_word(effort):
    value = chat_pb2.ReasoningEffort.Value(f"REASONING_EFFORT_{effort.upper()}")
    assert encoded(conversation(sampling=chat_pb2.Sampling(reasoning_effort=value)))["reasoning_effort"] == effort


def test_the_limit_has_a_newer_name_at_some_vendors():
    limited = conversation(sampling=chat_pb2.Sampling(max_output_tokens=7))
    body = encoded(limited, quirks=frozenset({"max_completion_tokens"}))
    assert body["max_completion_tokens"] == 7
    assert "max_tokens" not in body


@pytest.mark.parametrize(
    ("quirks", "roles"),
    [
        (set(), ["system", "developer", "user"]),
        ({"developer_role"}, ["developer", "developer", "user"]),
        ({"system_role_only"}, ["system", "system", "user"]),
    ],
)
def test_instructions_have_the_role_that_the_vendor_knows(quirks, roles):
    said = conversation(
        message(chat_pb2.ROLE_SYSTEM, text("a")), message(chat_pb2.ROLE_DEVELOPER, text("b")), user("c")
    )
    assert [entry["role"] for entry in encoded(said, quirks=frozenset(quirks))["messages"]] == roles


def test_a_name_is_sent():
    said = conversation(message(chat_pb2.ROLE_USER, text("hi"), name="ann"))
    assert encoded(said)["messages"] == [{"role": "user", "name": "ann", "content": "hi"}]


def test_tools_are_sent_with_their_schema_in_its_order():
    tools = [
        chat_pb2.Tool(name="f", description="does", parameters_json='{"b": 1.0, "a": 2}', strict=True),
        chat_pb2.Tool(name="g"),
    ]
    request = OpenAIChat().encode(conversation(tools=tools), model="m", stream=False, quirks=NOTHING)
    assert b'"parameters":{"b":1.0,"a":2}' in request.body
    assert json.loads(request.body)["tools"] == [
        {
            "type": "function",
            "function": {"name": "f", "description": "does", "parameters": {"b": 1.0, "a": 2}, "strict": True},
        },
        {"type": "function", "function": {"name": "g"}},
    ]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (chat_pb2.ToolChoice(), None),
        (chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_AUTO), "auto"),
        (chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_NONE), "none"),
        (chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_REQUIRED), "required"),
        (
            chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_NAMED, name="f"),
            {"type": "function", "function": {"name": "f"}},
        ),
    ],
)
def test_every_tool_choice_has_its_word(choice, expected):
    body = encoded(conversation(tools=[chat_pb2.Tool(name="f")], tool_choice=choice))
    assert body.get("tool_choice") == expected
    assert "parallel_tool_calls" not in body


def test_one_call_at_a_time_is_asked_for():
    body = encoded(conversation(tools=[chat_pb2.Tool(name="f")], tool_choice={"disable_parallel": True}))
    assert body["parallel_tool_calls"] is False


def test_every_response_format_has_its_form():
    form = chat_pb2.ResponseFormat
    for kind in (form.KIND_UNSPECIFIED, form.KIND_TEXT):
        assert "response_format" not in encoded(conversation(response_format=form(kind=kind)))
    body = encoded(conversation(response_format=form(kind=form.KIND_JSON_OBJECT)))
    assert body["response_format"] == {"type": "json_object"}
    schema = form(kind=form.KIND_JSON_SCHEMA, name="s", schema_json='{"type":"object"}', strict=True)
    assert encoded(conversation(response_format=schema))["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": True},
    }


def test_images_and_documents_stand_between_the_texts():
    parts = [
        text("look:"),
        chat_pb2.Part(image=chat_pb2.Image(data=b"\x01\x02", media_type="image/png", detail="low")),
        chat_pb2.Part(image=chat_pb2.Image(remote_uri="https://example.com/a.png")),
        chat_pb2.Part(document=chat_pb2.Document(data=b"\x03", media_type="application/pdf", name="a.pdf")),
        chat_pb2.Part(document=chat_pb2.Document(data=b"\x03", media_type="application/pdf")),
    ]
    said = conversation(user(*parts))
    assert encoded(said)["messages"][0]["content"] == [
        {"type": "text", "text": "look:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AQI=", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,Aw=="}},
        {"type": "file", "file": {"filename": "document", "file_data": "data:application/pdf;base64,Aw=="}},
    ]
    assert lost(said) == []


def test_several_texts_stay_apart():
    assert encoded(conversation(user("a", "b")))["messages"][0]["content"] == [
        {"type": "text", "text": "a"},
        {"type": "text", "text": "b"},
    ]


def test_an_assistants_turn_has_text_or_calls_or_a_refusal():
    said = conversation(
        user("q"),
        assistant(text("a"), text("b")),
        assistant(call("f", '{"x": 1}'), call("g", "", "c2")),
        assistant(text("so"), call("f", "{", "c3")),
        assistant(chat_pb2.Part(refusal="no")),
    )
    first, second = [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}},
        {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]
    third = {"id": "c3", "type": "function", "function": {"name": "f", "arguments": "{"}}
    assert encoded(said)["messages"][1:] == [
        {"role": "assistant", "content": "ab"},
        {"role": "assistant", "content": None, "tool_calls": [first, second]},
        {"role": "assistant", "content": "so", "tool_calls": [third]},
        {"role": "assistant", "content": None, "refusal": "no"},
    ]


def test_results_of_tools_follow_in_order_one_message_each():
    said = conversation(
        user("q"),
        assistant(call("f"), call("g", call_id="c2")),
        message(
            chat_pb2.ROLE_TOOL,
            result("c2", text("two"), text(" parts")),
            result("c1", text("broke"), is_error=True),
        ),
        user("and?"),
    )
    assert encoded(said)["messages"][2:] == [
        {"role": "tool", "tool_call_id": "c2", "content": "two parts"},
        {"role": "tool", "tool_call_id": "c1", "content": "Error: broke"},
        {"role": "user", "content": "and?"},
    ]


def test_what_the_format_cannot_carry_is_left_out_and_said():
    signature = chat_pb2.Signature(value="opaque", origin_model="m")
    thought = chat_pb2.Part(reasoning=chat_pb2.Reasoning(text="hm"), signature=signature)
    picture = chat_pb2.Part(image=chat_pb2.Image(data=b"\x01", media_type="image/png"))
    paper = chat_pb2.Part(document=chat_pb2.Document(remote_uri="https://example.com/a.pdf"))
    signed = call("f")
    signed.signature.CopyFrom(signature)
    said = conversation(
        user("q", paper),
        assistant(thought, text("a"), signed),
        message(chat_pb2.ROLE_TOOL, result("c1", text("r"), picture, paper)),
    )
    assert sorted(lost(said)) == sorted(
        [
            ("FEATURE_DROPPED", "conversation.messages[0].parts[1].document"),
            ("SIGNATURE_DROPPED", "conversation.messages[1].parts[0].signature"),
            ("FEATURE_DROPPED", "conversation.messages[1].parts[0].reasoning"),
            ("SIGNATURE_DROPPED", "conversation.messages[1].parts[2].signature"),
            ("FEATURE_DROPPED", "conversation.messages[2].parts[0].tool_result.parts[1].image"),
            ("FEATURE_DROPPED", "conversation.messages[2].parts[0].tool_result.parts[2].document"),
        ]
    )
    assert "opaque" not in json.dumps(encoded(said))
    assert encoded(said)["messages"] == [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a", "tool_calls": [encoded_call()]},
        {"role": "tool", "tool_call_id": "c1", "content": "r"},
    ]


def encoded_call() -> dict[str, object]:
    return {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def test_a_turn_of_which_nothing_is_left_is_still_a_turn():
    thought = chat_pb2.Part(reasoning=chat_pb2.Reasoning(text="hm"))
    assert encoded(conversation(user("q"), assistant(thought)))["messages"][1] == {"role": "assistant", "content": ""}


def test_vendor_options_are_merged_as_they_are():
    body = encoded(conversation(vendor_options_json='{"top_k": 3, "thinking": {"type": "enabled"}}'))
    assert (body["top_k"], body["thinking"]) == (3, {"type": "enabled"})


@pytest.mark.parametrize(
    "name", ["model", "messages", "stream", "n", "max_tokens", "max_completion_tokens", "functions", "temperature"]
)
def test_vendor_options_may_not_name_what_the_contract_carries(name):
    said = conversation(vendor_options_json=json.dumps({name: 1}), sampling=chat_pb2.Sampling(temperature=1))
    with pytest.raises(InvalidRequest) as refused:
        encoded(said)
    assert refused.value.metadata["field"] == "conversation.vendor_options_json"
    assert name in refused.value.metadata["problem"]


def test_half_a_surrogate_pair_in_a_schema_stays_an_escape():
    tool = chat_pb2.Tool(name="f", parameters_json='{"pattern": "\\ud800", "other": "\\ud83d\\ude00"}')
    request = OpenAIChat().encode(conversation(tools=[tool]), model="m", stream=False, quirks=NOTHING)
    assert '{"pattern":"\\ud800","other":"😀"}' in request.body.decode()


# ------------------------------------------------------------------- answers


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
    assert ending.upstream_id == "up-1"


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
    assert read_whole(whole(tool_calls=objects))[0].parts[0].tool_call.arguments_json == '{"x": 1}'
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
        # Parts that are larger than their total.
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
