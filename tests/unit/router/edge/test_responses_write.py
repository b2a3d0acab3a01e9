"""Answers of our contract in the Responses format, whole and as streams that add up to the same."""

from __future__ import annotations

import itertools
import json
from typing import Any

import orjson
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.collect import deltas_of
from services.router.edge.errors import Problem
from services.router.edge.openai_responses import OpenAIResponses
from tests.unit.router.edge.test_write import CALLED, PARTS, PROOF, fragments, response

IT = OpenAIResponses()
EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}
ASKED = {"input": "hello", "instructions": "i", "tools": [TOOL], "metadata": {"a": "b"}, "tool_choice": "auto"}
STOP = chat_pb2.FINISH_REASON_STOP
Delta = chat_pb2.PartDelta


def checked(body: Any) -> Any:
    """A response as the official client's types want it."""
    Response.model_validate(body, strict=True)
    return body


def whole(*parts: chat_pb2.Part, **more: Any) -> Any:
    return checked(json.loads(orjson.dumps(IT.whole(IT.read(ASKED), response(*parts, **more), "r1"))))


def streamed(deltas: list[list[chat_pb2.PartDelta]], finish: Any = CALLED, *, decision: bool = False) -> list[Any]:
    """The events, each as the official client's types want it, and in the order that the format promises."""
    reading = IT.read(ASKED)
    reading.wants_decision = decision
    writer = IT.events(reading, "r1")
    out = writer.opening("m-1", from_cache=False)
    for parts in deltas:
        out += writer.delta(parts)
    end = response(finish=finish)
    return read(out + writer.ending(pb.End(finish_reason=finish, usage=end.usage, decision=end.decision)))


def read(out: bytes) -> list[Any]:
    events = []
    for block in out.decode().removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {events[-1]['type']}"
        EVENTS.validate_json(data.removeprefix("data: "), strict=True)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def items_of(events: list[Any]) -> list[Any]:
    """The output that a client puts together; checks that each item is made of its own pieces."""
    items: dict[int, Any] = {}
    pieces: dict[tuple[int, int], str] = {}
    done: dict[int, Any] = {}
    for event in events:
        kind = event["type"]
        if not kind.startswith("response.") or "response" in event:
            continue
        at = event["output_index"]
        inner = at, event.get("content_index", event.get("summary_index", 0))
        if kind == "response.output_item.added":
            assert at == len(items)
            assert event["item"]["status"] == "in_progress"
            items[at] = event["item"]
            continue
        assert at not in done
        if kind == "response.output_item.done":
            assert {"in_progress"} & {event["item"]["status"]} == set()
            done[at] = event["item"]
            continue
        assert event["item_id"] == items[at]["id"]
        if kind.endswith(".delta"):
            pieces[inner] = pieces.get(inner, "") + event["delta"]
        elif kind.endswith(("_text.done", "refusal.done", "arguments.done")):
            said = event.get("text", event.get("refusal", event.get("arguments")))
            assert said == pieces.get(inner, "")
    assert set(done) == set(items)
    return [done[at] for at in sorted(done)]


def test_a_whole_response():
    body = whole(*PARTS)
    assert (body["id"], body["model"], body["status"], body["store"]) == ("resp_r1", "m-1", "completed", False)
    assert (body["instructions"], body["metadata"]) == ("i", {"a": "b"})
    assert body["output"] == [
        {
            "type": "reasoning",
            "id": "rs_r1_0",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "m-1#thoughts#abc=",
            "status": "completed",
        },
        {
            "type": "message",
            "id": "msg_r1_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": 'say "ü"\n', "annotations": [], "logprobs": []}],
        },
        {
            "type": "function_call",
            "id": "fc_r1_2",
            "call_id": "c1",
            "name": "f",
            "arguments": '{"a": 1}',
            "status": "completed",
        },
        {
            "type": "function_call",
            "id": "fc_r1_3",
            "call_id": "c2",
            "name": "g",
            "arguments": "{}",
            "status": "completed",
        },
    ]
    assert body["usage"] == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 4},
        "output_tokens": 24,
        "output_tokens_details": {"reasoning_tokens": 16},
        "total_tokens": 31,
    }


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [
        (STOP, "completed", None),
        (CALLED, "completed", None),
        (chat_pb2.FINISH_REASON_OTHER, "completed", None),
        (chat_pb2.FINISH_REASON_LENGTH, "incomplete", "max_output_tokens"),
        (chat_pb2.FINISH_REASON_CONTENT_FILTER, "incomplete", "content_filter"),
        (chat_pb2.FINISH_REASON_ERROR, "failed", None),
    ],
)
def test_the_words_for_an_end(finish: chat_pb2.FinishReason.ValueType, status: str, reason: str | None):
    text = chat_pb2.Part(text="x")
    body = whole(text, finish=finish)
    last = streamed([deltas_of(response(text).message)], finish)[-1]
    assert last["type"] == f"response.{status}"
    for said in (body, last["response"]):
        assert said["status"] == status
        assert (said["incomplete_details"] or {}).get("reason") == reason
        assert (said["error"] or {}).get("code") == ("server_error" if status == "failed" else None)
        assert said["output"][0]["status"] == ("completed" if status == "completed" else "incomplete")


def test_events_of_a_response_come_in_the_order_of_the_format_and_add_up():
    events = streamed([deltas_of(response(*PARTS).message)], decision=True)
    assert [event["type"].removeprefix("response.") for event in events] == [
        *("created", "in_progress"),
        *("output_item.added", "reasoning_summary_part.added", "reasoning_summary_text.delta"),
        *("reasoning_summary_text.done", "reasoning_summary_part.done", "output_item.done"),
        *("output_item.added", "content_part.added", "output_text.delta"),
        *("output_text.done", "content_part.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"),
        *("output_item.added", "function_call_arguments.delta", "function_call_arguments.done", "output_item.done"),
        "completed",
    ]
    last = events[-1]["response"]
    assert items_of(events) == last["output"] == whole(*PARTS)["output"]
    assert last["usage"]["total_tokens"] == 31
    assert last["omnisphere"] == {"model": "m-1"}
    assert {event["response"]["id"] for event in events if "response" in event} == {"resp_r1"}
    assert events[0]["response"]["usage"] is None


def test_refusals_hidden_thoughts_and_proofs_of_calls_are_the_same_whole_and_streamed():
    call = chat_pb2.Part(tool_call=chat_pb2.ToolCall(id="c1", name="f", arguments_json="{}"), signature=PROOF)
    hidden = chat_pb2.Part(reasoning=chat_pb2.Reasoning(redacted=True), signature=PROOF)
    parts = [hidden, chat_pb2.Part(text="well"), chat_pb2.Part(refusal="no"), chat_pb2.Part(text=""), call]
    output = whole(*parts)["output"]
    assert [item["type"] for item in output] == ["reasoning", "message", "function_call", "reasoning"]
    assert [piece["type"] for piece in output[1]["content"]] == ["output_text", "refusal", "output_text"]
    assert (output[0]["summary"], output[0]["encrypted_content"]) == ([], "m-1#hidden#abc=")
    assert output[3]["encrypted_content"] == "m-1#call#abc="
    events = streamed([deltas_of(response(*parts).message)])
    assert items_of(events) == events[-1]["response"]["output"] == output


def test_a_proof_that_a_call_gets_when_it_is_there_already_comes_behind_it():
    call, more = chat_pb2.ToolCallDelta, Delta
    deltas = [
        [more(part_index=0, tool_call=call(id="c1", name="f", arguments_json="{}"))],
        [more(part_index=0, tool_call=call(), signature=PROOF), more(part_index=1, tool_call=call(id="c2", name="g"))],
    ]
    output = items_of(streamed(deltas))
    assert [item["id"] for item in output] == ["fc_r1_0", "rs_r1_1", "fc_r1_2"]
    assert output[1]["encrypted_content"] == "m-1#call#abc="


def test_what_was_answered_goes_back_as_it_was_made():
    call = chat_pb2.Part(tool_call=chat_pb2.ToolCall(id="c1", name="f", arguments_json="{}"), signature=PROOF)
    hidden = chat_pb2.Part(reasoning=chat_pb2.Reasoning(redacted=True), signature=PROOF)
    parts = [PARTS[0], hidden, chat_pb2.Part(text="a"), chat_pb2.Part(refusal="b"), call]
    again = {"type": "function_call_output", "call_id": "c1", "output": "o"}
    said = IT.read({"input": [{"role": "user", "content": "q"}, *whole(*parts)["output"], again]})
    assert list(said.request.conversation.messages[1].parts) == parts


@pytest.mark.parametrize(
    "proof", [Delta(part_index=0, signature=PROOF), Delta(part_index=0, reasoning="", signature=PROOF)]
)
def test_a_proof_that_comes_last_of_all_is_still_with_its_thoughts(proof: chat_pb2.PartDelta):
    late = [
        [Delta(part_index=0, reasoning="h"), Delta(part_index=0, reasoning="m"), Delta(part_index=1, text="so")],
        [Delta(part_index=2, reasoning="unproved"), Delta(part_index=1, text=" it is")],
        [proof, Delta(part_index=1, text="!")],
    ]
    events = streamed(late, STOP)
    output = items_of(events)
    assert output == events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "message", "reasoning", "message"]
    assert [item.get("encrypted_content") for item in output[::2]] == ["m-1#thoughts#abc=", None]
    assert [item["content"][0]["text"] for item in output[1::2]] == ["so", " it is!"]


@pytest.mark.parametrize("sizes", list(itertools.product([1, 2, 3, 7], repeat=2)))
def test_pieces_that_come_in_turns_become_items_one_after_the_other(sizes: tuple[int, int]):
    rest, deltas = fragments(), []
    for size in itertools.cycle(sizes):
        if not rest:
            break
        deltas.append(rest[:size])
        rest = rest[size:]
    output = items_of(streamed(deltas))
    texts = [piece["text"] for item in output if item["type"] == "message" for piece in item["content"]]
    assert "".join(texts) == "one two"
    calls = {item["name"]: json.loads(item["arguments"]) for item in output if item["type"] == "function_call"}
    assert calls == {"f": {"a": 1}, "g": {"b": 2}}


@pytest.mark.parametrize(("status", "code"), [(502, "server_error"), (429, "rate_limit_exceeded")])
def test_a_failure_in_a_stream_says_so_twice_and_never_completes(status: int, code: str):
    writer = IT.events(IT.read(ASKED), "r1")
    out = writer.opening("m-1", from_cache=False) + writer.delta([Delta(part_index=0, text="half")])
    error, failed = read(out + writer.failure(Problem(status, "it broke", "stream_interrupted")))[-2:]
    assert (error["type"], error["error"]["code"], error["message"]) == ("error", "stream_interrupted", "it broke")
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": code, "message": "it broke"}
    assert failed["response"]["output"][0]["status"] == "incomplete"
    assert failed["response"]["output"][0]["content"][0]["text"] == "half"


def test_a_failure_before_anything_was_said_is_one_as_well():
    events = read(IT.events(IT.read(ASKED), "r1").failure(Problem(503, "gone", "shutting_down")))
    assert [event["type"] for event in events] == ["error", "response.failed"]


def test_the_decision_comes_where_it_is_asked_for():
    reading = IT.read(ASKED)
    reading.wants_decision = True
    answer = pb.CompleteResponse(finish_reason=STOP, decision=decision_pb2.Decision(model="m-1"))
    assert orjson.loads(orjson.dumps(IT.whole(reading, answer, "r1")))["omnisphere"] == {"model": "m-1"}
