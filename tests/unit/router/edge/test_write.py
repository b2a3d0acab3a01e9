"""Answers of our contract in both formats, whole and as streams that add up to the same."""

from __future__ import annotations

import itertools
import json
from typing import Any

import orjson
import pytest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.collect import deltas_of
from services.router.edge.anthropic_messages import AnthropicMessages
from services.router.edge.dialect import Dialect, Reading
from services.router.edge.errors import Problem
from services.router.edge.openai_chat import OpenAIChat

PROOF = chat_pb2.Signature(value="abc=", origin_model="m-1")
PARTS = [
    chat_pb2.Part(reasoning=chat_pb2.Reasoning(text="hm"), signature=PROOF),
    chat_pb2.Part(text='say "ü"\n'),
    chat_pb2.Part(tool_call=chat_pb2.ToolCall(id="c1", name="f", arguments_json='{"a": 1}')),
    chat_pb2.Part(tool_call=chat_pb2.ToolCall(id="c2", name="g", arguments_json="{}")),
]
USAGE = chat_pb2.Usage(
    input_uncached_tokens=1,
    input_cache_read_tokens=2,
    input_cache_write_tokens=4,
    output_tokens=8,
    reasoning_tokens=16,
)
CALLED = chat_pb2.FINISH_REASON_TOOL_CALLS


def response(*parts: chat_pb2.Part, finish: chat_pb2.FinishReason.ValueType = CALLED) -> pb.CompleteResponse:
    return pb.CompleteResponse(
        message=chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, parts=parts),
        finish_reason=finish,
        usage=USAGE,
        decision=decision_pb2.Decision(model="m-1"),
    )


def reading(**more: Any) -> Reading:
    return Reading(pb.CompleteRequest(), stream=True, **more)


def whole(dialect: Dialect, *parts: chat_pb2.Part, **more: Any) -> Any:
    return json.loads(orjson.dumps(dialect.whole(reading(), response(*parts, **more), "r1")))


def streamed(dialect: Dialect, deltas: list[list[chat_pb2.PartDelta]], **more: bool) -> list[Any]:
    writer = dialect.events(reading(**more), "r1")
    out = writer.opening("m-1", from_cache=False)
    for parts in deltas:
        out += writer.delta(parts)
    out += writer.ending(pb.End(finish_reason=CALLED, usage=USAGE, decision=decision_pb2.Decision(model="m-1")))
    lines = [line.removeprefix("data: ") for line in out.decode().splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def blocks_of(events: list[Any]) -> list[Any]:
    """The content that a client puts together; checks that blocks come one after the other."""
    blocks: list[Any] = []
    inputs: dict[int, str] = {}
    is_open = False
    for event in events:
        match event["type"]:
            case "content_block_start":
                assert not is_open
                assert event["index"] == len(blocks)
                is_open = True
                blocks.append(dict(event["content_block"]))
            case "content_block_delta":
                assert is_open
                assert event["index"] == len(blocks) - 1
                delta = dict(event["delta"])
                kind = delta.pop("type")
                ((key, value),) = delta.items()
                if kind == "input_json_delta":
                    inputs[event["index"]] = inputs.get(event["index"], "") + value
                else:
                    blocks[-1][key] += value
            case "content_block_stop":
                is_open = False
    assert not is_open
    for index, text in inputs.items():
        blocks[index]["input"] = json.loads(text)
    return blocks


def test_a_whole_chat_completion():
    body = whole(OpenAIChat(), *PARTS)
    message = body["choices"][0]["message"]
    assert (body["id"], body["model"], body["object"]) == ("chatcmpl-r1", "m-1", "chat.completion")
    assert (message["content"], message["reasoning_content"]) == ('say "ü"\n', "hm")
    assert [call["function"]["arguments"] for call in message["tool_calls"]] == ['{"a": 1}', "{}"]
    assert body["choices"][0]["finish_reason"] == "tool_calls"
    usage = body["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (7, 24, 31)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 2
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 16


def test_a_whole_message():
    body = whole(AnthropicMessages(), *PARTS)
    assert body["content"] == [
        {"type": "thinking", "thinking": "hm", "signature": "m-1#abc="},
        {"type": "text", "text": 'say "ü"\n'},
        {"type": "tool_use", "id": "c1", "name": "f", "input": {"a": 1}},
        {"type": "tool_use", "id": "c2", "name": "g", "input": {}},
    ]
    assert body["stop_reason"] == "tool_use"
    assert body["usage"] == {
        "input_tokens": 1,
        "cache_creation_input_tokens": 4,
        "cache_read_input_tokens": 2,
        "output_tokens": 24,
        "output_tokens_details": {"thinking_tokens": 16},
    }


@pytest.mark.parametrize(
    ("finish", "openai_word", "anthropic_word"),
    [
        (chat_pb2.FINISH_REASON_STOP, "stop", "end_turn"),
        (chat_pb2.FINISH_REASON_LENGTH, "length", "max_tokens"),
        (chat_pb2.FINISH_REASON_CONTENT_FILTER, "content_filter", "refusal"),
        (chat_pb2.FINISH_REASON_OTHER, "stop", "end_turn"),
    ],
)
def test_the_words_for_an_end(finish: chat_pb2.FinishReason.ValueType, openai_word: str, anthropic_word: str):
    text = chat_pb2.Part(text="x")
    assert whole(OpenAIChat(), text, finish=finish)["choices"][0]["finish_reason"] == openai_word
    assert whole(AnthropicMessages(), text, finish=finish)["stop_reason"] == anthropic_word


def test_a_refusal_and_hidden_thoughts():
    hidden = chat_pb2.Part(reasoning=chat_pb2.Reasoning(redacted=True), signature=PROOF)
    refusal = chat_pb2.Part(refusal="no")
    body = whole(AnthropicMessages(), hidden, refusal, finish=chat_pb2.FINISH_REASON_STOP)
    assert body["content"] == [{"type": "redacted_thinking", "data": "m-1#abc="}, {"type": "text", "text": "no"}]
    assert body["stop_reason"] == "refusal"
    message = whole(OpenAIChat(), hidden, refusal)["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (None, "no")


def test_arguments_that_are_no_object_are_wrapped():
    call = chat_pb2.Part(tool_call=chat_pb2.ToolCall(id="c", name="f", arguments_json='{"a":', arguments_invalid=True))
    assert whole(AnthropicMessages(), call)["content"][0]["input"] == {"INVALID_JSON": '{"a":'}


def test_chunks_of_a_chat_completion_add_up():
    found = streamed(OpenAIChat(), [deltas_of(response(*PARTS).message)], include_usage=True, wants_decision=True)
    assert found[0]["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert found[-1] == "[DONE]"
    assert found[-2]["usage"]["total_tokens"] == 31
    assert found[-2]["choices"] == []
    assert found[-2]["omnisphere"] == {"model": "m-1"}
    assert all(chunk["usage"] is None for chunk in found[:-2])
    calls = [chunk["choices"][0]["delta"]["tool_calls"][0] for chunk in found[3:5]]
    assert [call["index"] for call in calls] == [0, 1]
    assert [call["function"]["name"] for call in calls] == ["f", "g"]


def test_events_of_a_message_add_up():
    found = streamed(AnthropicMessages(), [deltas_of(response(*PARTS).message)], wants_decision=True)
    assert [event["type"] for event in found[:2]] == ["message_start", "ping"]
    assert [event["type"] for event in found[-2:]] == ["message_delta", "message_stop"]
    assert blocks_of(found) == whole(AnthropicMessages(), *PARTS)["content"]
    assert found[-2]["usage"]["output_tokens"] == 24
    assert found[-2]["omnisphere"] == {"model": "m-1"}


def test_the_start_of_a_message_guesses_what_the_input_takes_unless_the_cache_answers():
    asked = pb.CompleteRequest()
    asked.conversation.messages.add(role=chat_pb2.ROLE_USER).parts.add().text = "x" * 4_000
    picture = chat_pb2.Image(data=b"x" * 1_000_000, media_type="image/png")
    result = asked.conversation.messages.add(role=chat_pb2.ROLE_TOOL).parts.add().tool_result
    result.parts.add().image.CopyFrom(picture)

    def usage(*, from_cache: bool) -> Any:
        start = AnthropicMessages().events(Reading(asked, stream=True), "r1").opening("m-1", from_cache=from_cache)
        return json.loads(start.splitlines()[1].removeprefix(b"data: "))["message"]["usage"]

    assert 2_400 < usage(from_cache=False)["input_tokens"] < 2_600
    assert usage(from_cache=True) == usage(from_cache=False) | {"input_tokens": 0}


def fragments() -> list[chat_pb2.PartDelta]:
    """Two tool calls and a text whose pieces come in turns."""
    call, more = chat_pb2.ToolCallDelta, chat_pb2.PartDelta
    return [
        more(part_index=0, text="one "),
        more(part_index=1, tool_call=call(id="c1", name="f", arguments_json='{"a"')),
        more(part_index=2, tool_call=call(id="c2", name="g")),
        more(part_index=2, tool_call=call(arguments_json='{"b"')),
        more(part_index=1, tool_call=call(arguments_json=": 1}")),
        more(part_index=0, text="two"),
        more(part_index=2, tool_call=call(arguments_json=": 2}")),
    ]


@pytest.mark.parametrize("sizes", list(itertools.product([1, 2, 3, 7], repeat=2)))
def test_pieces_that_come_in_turns_become_blocks_one_after_the_other(sizes: tuple[int, int]):
    rest, deltas = fragments(), []
    for size in itertools.cycle(sizes):
        if not rest:
            break
        deltas.append(rest[:size])
        rest = rest[size:]
    blocks = blocks_of(streamed(AnthropicMessages(), deltas))
    assert "".join(block["text"] for block in blocks if block["type"] == "text") == "one two"
    uses = {block["name"]: block["input"] for block in blocks if block["type"] == "tool_use"}
    assert uses == {"f": {"a": 1}, "g": {"b": 2}}


def test_calls_without_arguments_that_get_them_at_the_end():
    call, more = chat_pb2.ToolCallDelta, chat_pb2.PartDelta
    deltas = [
        [more(part_index=0, tool_call=call(id="c1", name="f")), more(part_index=1, tool_call=call(id="c2", name="g"))],
        [
            more(part_index=0, tool_call=call(arguments_json="{}")),
            more(part_index=1, tool_call=call(arguments_json="{}")),
        ],
    ]
    blocks = blocks_of(streamed(AnthropicMessages(), deltas))
    assert [(block["id"], block["input"]) for block in blocks] == [("c1", {}), ("c2", {})]


def test_a_failure_in_a_stream_has_no_end_mark():
    problem = Problem(502, "it broke", "stream_interrupted")
    chunk = OpenAIChat().events(reading(), "r1").failure(problem)
    assert json.loads(chunk.removeprefix(b"data: "))["error"]["code"] == "stream_interrupted"
    event = AnthropicMessages().events(reading(), "r1").failure(problem)
    assert event.startswith(b"event: error\ndata: ")
    assert json.loads(event.splitlines()[1].removeprefix(b"data: "))["error"] == {
        "type": "api_error",
        "message": "it broke",
    }
