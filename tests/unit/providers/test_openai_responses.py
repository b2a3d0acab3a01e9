"""OpenAI's Responses: what only this format has, in requests and in answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omnisphere.chat.v1 import chat_pb2
from services.chassis.errors import InvalidRequest
from services.providers.adapters import ErrorInAnswer, MalformedAnswer, Target
from services.providers.adapters.openai_responses import OpenAIResponses
from tests.unit.providers.parts import assistant, call, lost, picture, result, signed, thoughts
from tests.unit.providers.reading import begun, read_stream, read_whole
from tests.unit.providers.samples import conversation, message, target, text, user
from tests.unit.providers.wire_samples import sse

PROOF = '{"id":"rs_1","encrypted_content":"Z0FB"}'


def encoded(said: chat_pb2.Conversation, *quirks: str) -> Any:
    return json.loads(OpenAIResponses().encode(said, target(quirks), stream=False).body)


def answered(*output: dict[str, object], status: str = "completed", **more: object) -> Any:
    document = {"id": "up", "object": "response", "status": status, "output": output} | more
    return read_whole("openai_responses", json.dumps(document).encode())


def said_item(*content: dict[str, object]) -> dict[str, object]:
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": content}


def test_the_least_conversation_is_the_least_request() -> None:
    request = OpenAIResponses().encode(conversation(), target(), stream=False)
    assert (request.path, request.degradations) == ("/responses", ())
    said = [{"role": "user", "content": "hello"}]
    assert json.loads(request.body) == {"model": "own-name", "input": said, "store": False, "stream": False}


def test_a_model_that_reasons_is_asked_for_its_thoughts_encrypted() -> None:
    reasoner = Target("m", "own-name", 1024, frozenset(), frozenset({"reasoning"}))
    body = json.loads(OpenAIResponses().encode(conversation(), reasoner, stream=True).body)
    assert (body["include"], body["store"], body["stream"]) == (["reasoning.encrypted_content"], False, True)


def test_a_turn_is_items_in_its_order_thoughts_before_what_they_belong_to() -> None:
    said = conversation(
        message(chat_pb2.ROLE_SYSTEM, text("s")),
        message(chat_pb2.ROLE_DEVELOPER, text("d")),
        user("q"),
        assistant(
            signed(thoughts("hm"), PROOF),
            text("so"),
            text("!"),
            signed(thoughts(""), PROOF),
            call("f", '{"x": 1.0}'),
        ),
        message(chat_pb2.ROLE_TOOL, result("c1", text("one"), picture(), is_error=True)),
        assistant(chat_pb2.Part(refusal="no")),
    )
    content = [{"type": "output_text", "text": "so"}, {"type": "output_text", "text": "!"}]
    output = [
        {"type": "input_text", "text": "Error:"},
        {"type": "input_text", "text": "one"},
        {"type": "input_image", "image_url": "data:image/png;base64,AQI=", "detail": "auto"},
    ]
    summary = [{"type": "summary_text", "text": "hm"}]
    assert encoded(said)["input"] == [
        {"role": "system", "content": "s"},
        {"role": "developer", "content": "d"},
        {"role": "user", "content": "q"},
        {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "Z0FB"},
        {"type": "message", "role": "assistant", "content": content},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "Z0FB"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": '{"x": 1.0}'},
        {"type": "function_call_output", "call_id": "c1", "output": output},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
    ]
    assert lost("openai_responses", said) == []


def test_thoughts_without_their_proof_or_without_their_item_stay_out() -> None:
    said = conversation(
        user("q"),
        assistant(
            thoughts("unsigned"),
            signed(thoughts("foreign"), PROOF, "another"),
            text("a"),
            signed(thoughts("x"), PROOF),
        ),
    )
    assert [item.get("type", "message") for item in encoded(said)["input"]] == ["message", "message"]
    path = "conversation.messages[1]"
    assert lost("openai_responses", said) == [
        ("FEATURE_DROPPED", f"{path}.parts[0].reasoning"),
        ("SIGNATURE_DROPPED", f"{path}.parts[1].signature"),
        ("FEATURE_DROPPED", f"{path}.parts[1].reasoning"),
        ("FEATURE_DROPPED", f"{path}.reasoning"),
    ]


def test_tools_are_flat_and_settings_have_their_places() -> None:
    form = chat_pb2.ResponseFormat
    said = conversation(
        tools=[chat_pb2.Tool(name="f", description="does", parameters_json='{"type":"object"}')],
        tool_choice={"mode": chat_pb2.ToolChoice.MODE_NAMED, "name": "f", "disable_parallel": True},
        response_format=form(kind=form.KIND_JSON_SCHEMA, name="s", schema_json="{}", strict=True),
        sampling={"temperature": 0.5, "max_output_tokens": 7, "seed": 1, "stop": ["x"], "reasoning_effort": 2},
    )
    body = encoded(said)
    schema = {"type": "object"}
    tool = {"type": "function", "name": "f", "description": "does", "parameters": schema, "strict": False}
    assert body["tools"] == [tool]
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ({"type": "function", "name": "f"}, False)
    assert body["text"] == {"format": {"type": "json_schema", "name": "s", "schema": {}, "strict": True}}
    assert (body["temperature"], body["max_output_tokens"], body["reasoning"]) == (0.5, 7, {"effort": "low"})
    subjects = sorted(subject for _, subject in lost("openai_responses", said))
    assert subjects == ["conversation.sampling.seed", "conversation.sampling.stop"]


def test_documents_and_pictures_of_a_user_are_carried() -> None:
    document = chat_pb2.Document(data=b"\x01\x02", media_type="application/pdf", name="a.pdf")
    elsewhere = chat_pb2.Document(remote_uri="https://example.com/b.pdf")
    parts = [picture(), chat_pb2.Part(document=document), chat_pb2.Part(document=elsewhere)]
    assert [piece["type"] for piece in encoded(conversation(user("q", *parts)))["input"][0]["content"]] == [
        "input_text",
        "input_image",
        "input_file",
        "input_file",
    ]


@pytest.mark.parametrize("options", ['{"input": []}', '{"reasoning": {"effort": "low"}}', '{"text": {"format": {}}}'])
def test_vendor_options_may_not_name_what_the_contract_carries(options: str) -> None:
    with pytest.raises(InvalidRequest):
        encoded(conversation(vendor_options_json=options))
    said = conversation(vendor_options_json='{"text": {"verbosity": "low"}, "service_tier": "flex"}')
    assert encoded(said)["text"] == {"verbosity": "low"}


def test_the_last_proof_of_a_stream_counts_and_stands_where_its_item_began() -> None:
    def item(proof: str) -> dict[str, object]:
        return {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": proof}

    message_item = said_item({"type": "output_text", "text": "a"})
    done = {"id": "up", "status": "completed", "output": [item("last"), message_item]}
    events = [
        {"type": "response.output_item.done", "output_index": 0, "item": item("first")},
        {"type": "response.output_text.delta", "output_index": 1, "content_index": 4, "delta": "a"},
        {"type": "response.completed", "response": done},
    ]
    read, _, heard = read_stream("openai_responses", [sse(events)])
    assert read == heard
    assert [part.WhichOneof("content") for part in read.parts] == ["reasoning", "text"]
    assert json.loads(read.parts[0].signature.value)["encrypted_content"] == "last"


def test_an_item_that_no_delta_brought_is_taken_from_the_end() -> None:
    items = [said_item({"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"})]
    items.append({"type": "function_call", "call_id": "c", "name": "f", "arguments": ""})
    done = {"id": "up", "status": "completed", "output": items}
    read, ending, heard = read_stream("openai_responses", [sse([{"type": "response.completed", "response": done}])])
    assert read == heard
    assert (read.parts[0].text, read.parts[1].refusal, read.parts[2].tool_call.arguments_json) == ("a", "no", "{}")
    assert ending.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("max_output_tokens", chat_pb2.FINISH_REASON_LENGTH),
        ("content_filter", chat_pb2.FINISH_REASON_CONTENT_FILTER),
        ("odd", chat_pb2.FINISH_REASON_OTHER),
    ],
)
def test_an_incomplete_answer_says_why(reason: str, expected: int) -> None:
    item = said_item({"type": "output_text", "text": "a"})
    _, ending = answered(item, status="incomplete", incomplete_details={"reason": reason})
    assert (ending.provider_finish_reason, ending.finish_reason) == (f"incomplete:{reason}", expected)


def test_the_providers_own_tools_are_dropped_and_said() -> None:
    note = {"type": "url_citation"}
    read, ending = answered(
        {"type": "web_search_call", "id": "ws"},
        {"type": "mcp_call", "id": "mcp"},
        said_item({"type": "output_text", "text": "a", "annotations": [note]}),
    )
    assert [part.text for part in read.parts] == ["a"]
    subjects = [degradation.subject for degradation in ending.degradations]
    assert subjects == ["answer.web_search_call", "answer.mcp_call", "answer.annotations"]


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"type": "error", "code": "server_error", "message": "m", "param": None}, "server_error"),
        ({"type": "error", "error": {"type": "x", "code": "insufficient_quota"}}, "insufficient_quota"),
        ({"type": "response.failed", "response": {"error": {"code": "server_error"}}}, "server_error"),
    ],
)
def test_every_form_of_an_error_in_a_stream_is_one(event: dict[str, object], kind: str) -> None:
    with pytest.raises(ErrorInAnswer) as raised:
        begun("openai_responses").event(json.dumps(event))
    assert raised.value.body["code"] == kind
    assert raised.value.body.get("type") != "error"


def test_an_item_that_only_the_provider_can_read_goes_back_as_it_came() -> None:
    item: dict[str, object] = {"type": "compaction", "id": "c_1", "encrypted_content": "Z0FB"}
    read, ending = answered(item, said_item({"type": "output_text", "text": "a"}))
    assert not ending.degradations
    sent = encoded(conversation(user("q"), read))["input"]
    assert [each for each in sent if each.get("type") == "compaction"] == [item]


def test_an_answer_without_output_is_empty() -> None:
    with pytest.raises(MalformedAnswer) as raised:
        answered()
    assert raised.value.kind == "empty"
