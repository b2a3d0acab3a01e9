"""Each rule with the path of its field and its problem; and every shape that must pass."""

from __future__ import annotations

from typing import Any

import pytest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.chat.v1.chat_pb2 import Part, Tool
from services.chassis.errors import InvalidRequest
from services.router.conversation_rules import check
from tests.unit.router.samples import assistant, call, message, result, talk, user

SCHEMA = '{"type": "object"}'
PICTURE = Part(image=chat_pb2.Image(data=b"png", media_type="image/png"))
LINKED = Part(image=chat_pb2.Image(remote_uri="https://example.org/a.png"))
FILE = Part(document=chat_pb2.Document(data=b"%PDF", media_type="application/pdf", name="a.pdf"))


def with_fields(**fields: Any) -> chat_pb2.Conversation:
    """A valid conversation with further fields."""
    conversation = talk("hello")
    conversation.MergeFrom(chat_pb2.Conversation(**fields))
    return conversation


def sampled(**fields: Any) -> chat_pb2.Conversation:
    return with_fields(sampling=chat_pb2.Sampling(**fields))


def formed(**fields: Any) -> chat_pb2.Conversation:
    return with_fields(response_format=chat_pb2.ResponseFormat(**fields))


def chosen(*tools: str, **fields: Any) -> chat_pb2.Conversation:
    return with_fields(tools=[Tool(name=name) for name in tools], tool_choice=chat_pb2.ToolChoice(**fields))


def document(**fields: Any) -> Part:
    return Part(document=chat_pb2.Document(**fields))


def image(**fields: Any) -> Part:
    return Part(image=chat_pb2.Image(**fields))


TOOL = chat_pb2.ROLE_TOOL
MODE, KIND = chat_pb2.ToolChoice, chat_pb2.ResponseFormat
VALID = {
    "one question": talk("hello"),
    "system and developer first": talk(
        message(chat_pb2.ROLE_SYSTEM, "be brief"), message(chat_pb2.ROLE_DEVELOPER, "in verse"), "hello"
    ),
    "two questions in a row": talk("a", "b"),
    "an answer before": talk("a", assistant("b"), "c"),
    "an answer to go on from": talk("a", assistant("The answer is")),
    "an empty text": talk(""),
    "several texts": talk(user("a", "b")),
    "a picture": talk(user("what is it?", PICTURE)),
    "a linked picture": talk(user(LINKED)),
    "a file": talk(user(FILE)),
    "a linked file": talk(user(document(remote_uri="https://example.org/a.pdf"))),
    "a call and its result": talk("a", assistant(call("1")), message(TOOL, result("1"))),
    "parallel calls in one turn": talk("a", assistant(call("1"), call("2")), message(TOOL, result("2"), result("1"))),
    "parallel calls in turns of their own": talk(
        "a", assistant(call("1"), call("2")), message(TOOL, result("1")), message(TOOL, result("2")), assistant("b")
    ),
    "the same id in a later turn": talk(
        "a", assistant(call("1")), message(TOOL, result("1")), assistant(call("1")), message(TOOL, result("1"))
    ),
    "words beside a call": talk("a", assistant("let me look", call("1")), message(TOOL, result("1")), "and?"),
    "a result with a picture": talk(
        "a",
        assistant(call("1")),
        message(TOOL, Part(tool_result=chat_pb2.ToolResult(tool_call_id="1", parts=[PICTURE, FILE]))),
    ),
    "arguments that are no JSON": talk(
        "a",
        assistant(Part(tool_call=chat_pb2.ToolCall(id="1", name="f", arguments_json="{oh", arguments_invalid=True))),
        message(TOOL, result("1")),
    ),
    "thoughts and a refusal": talk(
        "a", assistant(Part(reasoning=chat_pb2.Reasoning(text="hm")), Part(refusal="no")), "b"
    ),
    "thoughts that are withheld": talk("a", assistant(Part(reasoning=chat_pb2.Reasoning(redacted=True)), "b"), "c"),
    "tools": with_fields(tools=[Tool(name="look", parameters_json=SCHEMA), Tool(name="a.b-c_d")]),
    "tool modes": chosen("look", mode=MODE.MODE_REQUIRED),
    "a named tool": chosen("look", mode=MODE.MODE_NAMED, name="look"),
    "no calls without tools": chosen(mode=MODE.MODE_NONE),
    "a JSON object": formed(kind=KIND.KIND_JSON_OBJECT),
    "a schema": formed(kind=KIND.KIND_JSON_SCHEMA, name="answer", schema_json=SCHEMA),
    "the ends of the ranges": sampled(temperature=0, top_p=1, max_output_tokens=1, stop=["x"] * 16, seed=-1),
    "the other ends": sampled(temperature=2, top_p=0.001, max_output_tokens=1_000_000, stop=["é" * 128]),
    "vendor options": with_fields(vendor_options_json='{"min_p": 0.1}'),
    "many tools": with_fields(tools=[Tool(name=f"t{n}") for n in range(1_024)]),
    "a long description": with_fields(tools=[Tool(name="t", description="x" * (64 << 10))]),
    "a name": talk(chat_pb2.Message(role=chat_pb2.ROLE_USER, name="x" * 64, parts=[Part(text="a")])),
}


@pytest.mark.parametrize("conversation", VALID.values(), ids=VALID.keys())
def test_valid_shapes_pass(conversation):
    check(conversation)


M = "conversation.messages"
INVALID = [
    (chat_pb2.Conversation(), M, "is empty"),
    (talk(*["a"] * 10_001), M, "has more than 10,000 messages"),
    (talk(message(chat_pb2.ROLE_SYSTEM, "a")), M, "has no USER message"),
    (talk(assistant("a")), M, "has no USER message"),
    (talk("a", message(chat_pb2.ROLE_UNSPECIFIED, "b")), f"{M}[1].role", "is not set"),
    (talk(message(99, "b")), f"{M}[0].role", "is not a known role"),  # type: ignore[arg-type]
    (talk(user()), f"{M}[0].parts", "is empty"),
    (talk(user(*["x"] * 1_001)), f"{M}[0].parts", "has more than 1,000 parts"),
    (
        talk(chat_pb2.Message(role=chat_pb2.ROLE_USER, name="é" * 33, parts=[Part(text="a")])),
        f"{M}[0].name",
        "is longer than 64 bytes",
    ),
    (talk(user("a", Part())), f"{M}[0].parts[1]", "has no content"),
    (talk(user(call("1"))), f"{M}[0].parts[0].tool_call", "does not belong into a message of this role"),
    (
        talk("a", message(chat_pb2.ROLE_SYSTEM, PICTURE)),
        f"{M}[1].parts[0].image",
        "does not belong into a message of this role",
    ),
    (talk("a", message(TOOL, "b")), f"{M}[1].parts[0].text", "does not belong into a message of this role"),
    (talk("a", assistant(PICTURE)), f"{M}[1].parts[0].image", "does not belong into a message of this role"),
    (talk(user(image())), f"{M}[0].parts[0].image.source", "is not set"),
    (
        talk(user(image(data=b"", media_type="image/png"))),
        f"{M}[0].parts[0].image.data",
        "is not 1 byte to 16 MiB",
    ),
    (talk(user(image(data=b"x"))), f"{M}[0].parts[0].image.media_type", "is not set"),
    (
        talk(user(image(data=bytes((16 << 20) + 1), media_type="image/png"))),
        f"{M}[0].parts[0].image.data",
        "is not 1 byte to 16 MiB",
    ),
    (
        talk(user(image(remote_uri="http://example.org/a.png"))),
        f"{M}[0].parts[0].image.remote_uri",
        "is not an https address of at most 2,048 bytes",
    ),
    (
        talk(user(document(remote_uri="https://" + "x" * 2_041))),
        f"{M}[0].parts[0].document.remote_uri",
        "is not an https address of at most 2,048 bytes",
    ),
    (
        talk(user(document(data=b"x", media_type="text/plain", name="x" * 257))),
        f"{M}[0].parts[0].document.name",
        "is longer than 256 bytes",
    ),
    (talk("a", assistant(call(""))), f"{M}[1].parts[0].tool_call.id", "is not 1 to 256 bytes"),
    (talk("a", assistant(call("x" * 257))), f"{M}[1].parts[0].tool_call.id", "is not 1 to 256 bytes"),
    (talk("a", assistant(call("1", ""))), f"{M}[1].parts[0].tool_call.name", "is not 1 to 128 of [A-Za-z0-9_.-]"),
    (talk("a", assistant(call("1", "a b"))), f"{M}[1].parts[0].tool_call.name", "is not 1 to 128 of [A-Za-z0-9_.-]"),
    (talk("a", assistant(call("1"))), f"{M}[1].parts[0].tool_call", "is not answered"),
    (
        talk("a", assistant(call("1")), "b"),
        f"{M}[1].parts[0].tool_call",
        "is not answered by the TOOL messages that follow",
    ),
    (
        talk("a", assistant(call("1"), call("2")), message(TOOL, result("1")), "b"),
        f"{M}[1].parts[1].tool_call",
        "is not answered by the TOOL messages that follow",
    ),
    (talk("a", assistant(call("1"), call("1"))), f"{M}[1].parts[1].tool_call.id", "is used twice"),
    (
        talk("a", message(TOOL, result("1"))),
        f"{M}[1].parts[0].tool_result.tool_call_id",
        "answers no open call",
    ),
    (
        talk("a", assistant(call("1")), message(TOOL, result("1"), result("1"))),
        f"{M}[2].parts[1].tool_result.tool_call_id",
        "answers no open call",
    ),
    (
        talk("a", assistant(call("1")), message(TOOL, Part(tool_result=chat_pb2.ToolResult(tool_call_id="1")))),
        f"{M}[2].parts[0].tool_result.parts",
        "is empty",
    ),
    (
        talk(
            "a",
            assistant(call("1")),
            message(TOOL, Part(tool_result=chat_pb2.ToolResult(tool_call_id="1", parts=[call("2")]))),
        ),
        f"{M}[2].parts[0].tool_result.parts[0].tool_call",
        "does not belong into a message of this role",
    ),
    (with_fields(tools=[Tool(name=f"t{n}") for n in range(1_025)]), "conversation.tools", "has more than 1,024 tools"),
    (with_fields(tools=[Tool()]), "conversation.tools[0].name", "is not 1 to 128 of [A-Za-z0-9_.-]"),
    (with_fields(tools=[Tool(name="a"), Tool(name="a")]), "conversation.tools[1].name", "is used twice"),
    (
        with_fields(tools=[Tool(name="a", description="x" * 65_537)]),
        "conversation.tools[0].description",
        "is longer than 65,536 bytes",
    ),
    (
        with_fields(tools=[Tool(name="a", parameters_json="[]")]),
        "conversation.tools[0].parameters_json",
        "is not a JSON object",
    ),
    (chosen(mode=99), "conversation.tool_choice.mode", "is not a known mode"),
    (chosen(mode=MODE.MODE_REQUIRED), "conversation.tool_choice.mode", "requires a tool, and there is none"),
    (chosen("a", mode=MODE.MODE_NAMED, name="b"), "conversation.tool_choice.name", "is none of the tools"),
    (chosen("a", mode=MODE.MODE_NAMED), "conversation.tool_choice.name", "is none of the tools"),
    (formed(kind=99), "conversation.response_format.kind", "is not a known kind"),
    (
        formed(kind=KIND.KIND_JSON_SCHEMA, schema_json=SCHEMA),
        "conversation.response_format.name",
        "is not 1 to 64 of [A-Za-z0-9_-]",
    ),
    (
        formed(kind=KIND.KIND_JSON_SCHEMA, name="a", schema_json="{"),
        "conversation.response_format.schema_json",
        "is not JSON",
    ),
    (formed(kind=KIND.KIND_JSON_SCHEMA, name="a"), "conversation.response_format.schema_json", "is not JSON"),
    (
        formed(kind=KIND.KIND_JSON_SCHEMA, name="a", schema_json='{"a":"' + "x" * (256 << 10) + '"}'),
        "conversation.response_format.schema_json",
        "is longer than 262,144 bytes",
    ),
    (sampled(temperature=-0.1), "conversation.sampling.temperature", "is not 0 to 2"),
    (sampled(temperature=2.1), "conversation.sampling.temperature", "is not 0 to 2"),
    (sampled(temperature=float("nan")), "conversation.sampling.temperature", "is not 0 to 2"),
    (sampled(top_p=0), "conversation.sampling.top_p", "is not above 0 and at most 1"),
    (sampled(top_p=1.1), "conversation.sampling.top_p", "is not above 0 and at most 1"),
    (sampled(top_p=float("inf")), "conversation.sampling.top_p", "is not above 0 and at most 1"),
    (sampled(max_output_tokens=0), "conversation.sampling.max_output_tokens", "is not 1 to 1,000,000"),
    (sampled(max_output_tokens=1_000_001), "conversation.sampling.max_output_tokens", "is not 1 to 1,000,000"),
    (sampled(stop=["x"] * 17), "conversation.sampling.stop", "has more than 16 texts"),
    (sampled(stop=["x", ""]), "conversation.sampling.stop[1]", "is not 1 to 256 bytes"),
    (sampled(stop=["é" * 129]), "conversation.sampling.stop[0]", "is not 1 to 256 bytes"),
    (sampled(reasoning_effort=99), "conversation.sampling.reasoning_effort", "is not a known effort"),
    (with_fields(vendor_options_json="no"), "conversation.vendor_options_json", "is not JSON"),
    (with_fields(vendor_options_json='{"a": NaN}'), "conversation.vendor_options_json", "is not JSON"),
    (with_fields(vendor_options_json="[" * 60_000), "conversation.vendor_options_json", "is not JSON"),
    (with_fields(vendor_options_json="3"), "conversation.vendor_options_json", "is not a JSON object"),
    (
        with_fields(vendor_options_json='{"a":"' + "é" * 33_000 + '"}'),
        "conversation.vendor_options_json",
        "is longer than 65,536 bytes",
    ),
]


@pytest.mark.parametrize(("conversation", "field", "problem"), INVALID, ids=[f"{i[1]} {i[2]}" for i in INVALID])
def test_what_is_refused_names_the_field_and_the_problem(conversation, field, problem):
    with pytest.raises(InvalidRequest) as caught:
        check(conversation)
    assert caught.value.metadata == {"field": field, "problem": problem}


def test_a_refusal_never_holds_what_was_said():
    conversation = talk("a", assistant(call("secret-id", "secret name")))
    with pytest.raises(InvalidRequest) as caught:
        check(conversation)
    assert "secret" not in caught.value.message()
