"""Google's generateContent: what only this format has, in requests and in answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omnisphere.chat.v1 import chat_pb2
from services.chassis.errors import InvalidRequest
from services.providers.adapters import MalformedAnswer
from services.providers.adapters.gemini_generate import GeminiGenerate
from tests.unit.providers.parts import assistant, call, lost, picture, result, signed, thoughts
from tests.unit.providers.reading import begun, read_stream, read_whole
from tests.unit.providers.samples import conversation, message, target, text, user
from tests.unit.providers.wire_samples import sse


def encoded(said: chat_pb2.Conversation, *quirks: str) -> Any:
    return json.loads(GeminiGenerate().encode(said, target(quirks), stream=False).body)


def answered(*parts: dict[str, object], finish: str = "STOP", **more: object) -> Any:
    return read_whole("gemini_generate", json.dumps(document(*parts, finish=finish) | more).encode())


def document(*parts: dict[str, object], finish: str | None = None) -> dict[str, object]:
    candidate: dict[str, object] = {"content": {"role": "model", "parts": parts}}
    return {"candidates": [candidate | ({"finishReason": finish} if finish else {})]}


def test_the_least_conversation_is_the_least_request() -> None:
    request = GeminiGenerate().encode(conversation(), target(), stream=False)
    assert (request.path, request.degradations) == ("/models/own-name:generateContent", ())
    assert json.loads(request.body) == {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
    stream = GeminiGenerate().encode(conversation(), target(), stream=True)
    assert stream.path == "/models/own-name:streamGenerateContent?alt=sse"
    assert GeminiGenerate().headers("k", frozenset()) == {"x-goog-api-key": "k"}
    assert GeminiGenerate().headers("k", frozenset({"bearer_key"})) == {"authorization": "Bearer k"}


def test_results_are_the_users_in_the_turn_after_the_calls_with_their_names() -> None:
    said = conversation(
        message(chat_pb2.ROLE_SYSTEM, text("be brief")),
        user("q"),
        assistant(call("f", '{"x": 1.0}', "a"), call("g", call_id="call_1")),
        message(chat_pb2.ROLE_TOOL, result("a", text('{"y": 2}'), picture())),
        message(chat_pb2.ROLE_TOOL, result("call_1", text("broke"), is_error=True)),
        user("and?"),
    )
    body = encoded(said)
    assert body["systemInstruction"] == {"parts": [{"text": "be brief"}]}
    assert body["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"name": "f", "args": {"x": 1.0}, "id": "a"}},
                {"functionCall": {"name": "g", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"y": 2}, "id": "a"}},
                {"inlineData": {"mimeType": "image/png", "data": "AQI="}},
                {"functionResponse": {"name": "g", "response": {"error": "broke"}}},
                {"text": "and?"},
            ],
        },
    ]
    assert lost("gemini_generate", said) == []


def test_signatures_stay_with_their_parts_also_those_without_a_text() -> None:
    said = conversation(
        user("q"),
        assistant(
            signed(thoughts("hm"), "s1"),
            signed(text("a"), "s2"),
            signed(text(""), "s3"),
            signed(call("f"), "s4"),
            signed(call("g", call_id="c2"), "foreign", "another"),
            thoughts("unsigned"),
        ),
    )
    assert encoded(said)["contents"][1]["parts"] == [
        {"text": "hm", "thought": True, "thoughtSignature": "s1"},
        {"text": "a", "thoughtSignature": "s2"},
        {"text": "", "thoughtSignature": "s3"},
        {"functionCall": {"name": "f", "args": {}, "id": "c1"}, "thoughtSignature": "s4"},
        {"functionCall": {"name": "g", "args": {}, "id": "c2"}},
    ]
    path = "conversation.messages[1].parts"
    assert lost("gemini_generate", said) == [
        ("SIGNATURE_DROPPED", f"{path}[4].signature"),
        ("FEATURE_DROPPED", f"{path}[5].reasoning"),
    ]


def test_a_result_has_the_name_of_the_last_call_of_its_id() -> None:
    said = conversation(user("q"))
    for name in ("f", "g"):
        said.messages.extend([assistant(call(name, call_id="call_0"))])
        said.messages.extend([message(chat_pb2.ROLE_TOOL, result("call_0", text("r")))])
    parts = [content["parts"][0] for content in encoded(said)["contents"][1:]]
    names = [next(iter(part.values()))["name"] for part in parts]
    assert names == ["f", "f", "g", "g"]


def test_a_model_that_wants_a_signature_gets_the_documented_stand_in_for_foreign_calls() -> None:
    said = conversation(user("q"), assistant(call("f"), call("g", call_id="c2")))
    plain = [part.get("thoughtSignature") for part in encoded(said)["contents"][1]["parts"]]
    assert plain == [None, None]
    quirk = "thought_signature_required"
    signatures = [part.get("thoughtSignature") for part in encoded(said, quirk)["contents"][1]["parts"]]
    assert signatures == ["skip_thought_signature_validator", None]


def test_tools_and_settings_have_their_places() -> None:
    form = chat_pb2.ResponseFormat
    said = conversation(
        tools=[chat_pb2.Tool(name="f", description="does", parameters_json='{"type":"object"}', strict=True)],
        tool_choice={"mode": chat_pb2.ToolChoice.MODE_NAMED, "name": "f", "disable_parallel": True},
        response_format=form(kind=form.KIND_JSON_SCHEMA, name="s", schema_json='{"b":1,"a":2}'),
        sampling={"temperature": 0.0, "top_p": 0.5, "max_output_tokens": 7, "seed": 3, "stop": ["x"]},
    )
    body = encoded(said)
    declared = {"name": "f", "description": "does", "parametersJsonSchema": {"type": "object"}}
    assert body["tools"] == [{"functionDeclarations": [declared]}]
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}}
    assert body["generationConfig"] == {
        "temperature": 0.0,
        "topP": 0.5,
        "maxOutputTokens": 7,
        "seed": 3,
        "stopSequences": ["x"],
        "responseMimeType": "application/json",
        "responseJsonSchema": {"b": 1, "a": 2},
    }
    assert [subject for _, subject in lost("gemini_generate", said)] == [
        "conversation.tools[0].strict",
        "conversation.tool_choice.disable_parallel",
    ]


@pytest.mark.parametrize(
    ("effort", "quirks", "expected"),
    [
        ("LOW", (), {"thinkingBudget": 1024, "includeThoughts": True}),
        ("NONE", (), {"thinkingBudget": 0}),
        ("HIGH", ("thinking_level",), {"thinkingLevel": "high", "includeThoughts": True}),
        ("HIGH", ("no_reasoning_effort",), None),
    ],
)
def test_an_effort_is_a_budget_or_a_level(effort: str, quirks: tuple[str, ...], expected: object) -> None:
    word = chat_pb2.ReasoningEffort.Value(f"REASONING_EFFORT_{effort}")
    body = encoded(conversation(sampling={"reasoning_effort": word}), *quirks)
    assert body.get("generationConfig", {}).get("thinkingConfig") == expected


@pytest.mark.parametrize(
    "options", ['{"contents": []}', '{"generationConfig": {"topP": 1}}', '{"generation_config": {}}']
)
def test_vendor_options_may_not_name_what_the_contract_carries(options: str) -> None:
    with pytest.raises(InvalidRequest):
        encoded(conversation(vendor_options_json=options))
    said = conversation(vendor_options_json='{"safetySettings": [], "generationConfig": {"topK": 3}}')
    assert encoded(said)["generationConfig"] == {"topK": 3}


def test_an_address_is_a_file_and_nothing_at_all_is_refused() -> None:
    said = conversation(user(chat_pb2.Part(image=chat_pb2.Image(remote_uri="https://example.com/a.png"))))
    assert encoded(said)["contents"][0]["parts"] == [{"fileData": {"fileUri": "https://example.com/a.png"}}]
    with pytest.raises(InvalidRequest):
        encoded(conversation(user("")))


def test_neighbouring_texts_of_a_stream_are_one_part_but_never_over_a_signature() -> None:
    pieces: list[list[dict[str, object]]] = [
        [{"text": "a"}],
        [{"text": "b"}, {"text": "", "thoughtSignature": "s1"}],
        [{"text": "c", "thoughtSignature": "s2"}, {"text": "d"}],
    ]
    documents = [document(*given) for given in pieces] + [document(finish="STOP")]
    read, _, heard = read_stream("gemini_generate", [sse(documents)])
    assert read == heard
    found = [(part.text, part.signature.value) for part in read.parts]
    assert found == [("ab", ""), ("", "s1"), ("c", "s2"), ("d", "")]


def test_a_call_without_an_id_gets_one_that_is_not_sent_back() -> None:
    read, ending = answered({"functionCall": {"name": "f", "args": {}}}, {"functionCall": {"name": "f"}})
    assert ending.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS
    assert len({part.tool_call.id for part in read.parts}) == 2
    sent = encoded(conversation(user("q"), read))["contents"][1]["parts"]
    assert sent == [{"functionCall": {"name": "f", "args": {}}}] * 2


def test_thoughts_and_tools_of_the_provider_are_counted_where_they_belong() -> None:
    usage = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 5,
        "cachedContentTokenCount": 4,
        "candidatesTokenCount": 3,
        "thoughtsTokenCount": 2,
        "totalTokenCount": 20,
    }
    _, ending = answered({"text": "a"}, usageMetadata=usage)
    found = ending.usage
    assert (found.input_uncached_tokens, found.input_cache_read_tokens) == (11, 4)
    assert (found.output_tokens, found.reasoning_tokens) == (3, 2)


@pytest.mark.parametrize(
    ("finish", "expected"),
    [
        ("SAFETY", chat_pb2.FINISH_REASON_CONTENT_FILTER),
        ("MAX_TOKENS", chat_pb2.FINISH_REASON_LENGTH),
        ("MALFORMED_FUNCTION_CALL", chat_pb2.FINISH_REASON_ERROR),
    ],
)
def test_an_answer_of_nothing_may_say_why(finish: str, expected: int) -> None:
    read, ending = answered(finish=finish)
    assert (list(read.parts), ending.finish_reason, ending.complete) == ([], expected, True)


def test_a_blocked_prompt_is_a_filter_and_no_candidate_is_no_answer() -> None:
    blocked = b'{"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}'
    _, ending = read_whole("gemini_generate", blocked)
    assert (ending.provider_finish_reason, ending.finish_reason) == (
        "blocked:SAFETY",
        chat_pb2.FINISH_REASON_CONTENT_FILTER,
    )
    for nothing in (b"{}", b'{"candidates": []}', json.dumps(document(finish="STOP")).encode()):
        with pytest.raises(MalformedAnswer) as raised:
            read_whole("gemini_generate", nothing)
        assert raised.value.kind == "empty"


def test_pictures_come_whole_and_what_has_no_place_is_said() -> None:
    read, ending = answered(
        {"inlineData": {"mimeType": "image/png", "data": "AQI="}, "thoughtSignature": "s"},
        {"executableCode": {"code": "1"}},
        {"codeExecutionResult": {"output": "1"}},
        {"inlineData": {"mimeType": "audio/wav", "data": "AQI="}},
        {"inlineData": {"mimeType": "image/png", "data": "ä"}},
        {"inlineData": {"mimeType": "image/png", "data": "AQI="}, "thought": True},
        {"text": "done"},
    )
    assert [part.WhichOneof("content") for part in read.parts] == ["image", "text"]
    assert (read.parts[0].image.data, read.parts[0].signature.value) == (b"\x01\x02", "s")
    subjects = [degradation.subject for degradation in ending.degradations]
    assert subjects == ["answer.executablecode", "answer.codeexecutionresult", "answer.inlinedata"]


def test_a_stream_without_framing_is_a_list() -> None:
    body = json.dumps([document({"text": "a"}), document({"text": "b"}, finish="STOP")]).encode()
    assert [part.text for part in read_whole("gemini_generate", body)[0].parts] == ["ab"]
    assert begun("gemini_generate").upstream_model == ""
