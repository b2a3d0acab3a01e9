"""Bad requests get OpenAI's error bodies, and are booked as failed."""

from __future__ import annotations

from typing import Any

import pytest

USER = {"role": "user", "content": "Hello"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "1"}
FUNCTION = {"type": "function", "function": {"name": "f"}}


def body(*messages: object, **extra: object) -> dict[str, Any]:
    return {"model": "gpt-5", "messages": list(messages), **extra}


@pytest.mark.parametrize(
    ("sent", "status", "param", "text"),
    [
        (b"{", 400, None, "could not parse"),
        (b"\xff", 400, None, "could not parse"),
        (b"[]", 400, None, "must be an object"),
        ({"messages": [USER]}, 400, "model", "model parameter"),
        ({"model": "gpt-5"}, 400, "messages", "messages"),
        (body(), 400, "messages", "too short"),
        (body("hi"), 400, "messages[0]", "object"),
        (body({"role": "wizard", "content": "x"}), 400, "messages[0].role", "wizard"),
        (body({"role": "user"}), 400, "messages[0].content", "null"),
        (body({"role": "user", "content": 4}), 400, "messages[0].content", "array"),
        (body({"role": "user", "content": [{"type": "smell"}]}), 400, "messages[0].content[0].type", "smell"),
        (body(USER, RESULT), 400, "messages[1].role", "preceding message"),
        (body(USER, ASKED, USER), 400, "messages[1]", "c1"),
        (body(USER, ASKED), 400, "messages[1]", "c1"),
        (body(USER, ASKED, RESULT, RESULT), 400, "messages[3].role", "preceding message"),
        (body(USER, ASKED, {"role": "tool", "content": "1"}), 400, "messages[2].tool_call_id", "Missing"),
        (body(USER, temperature=3), 400, "temperature", "from 0 to 2"),
        (body(USER, temperature="hot"), 400, "temperature", "number"),
        (body(USER, max_tokens=0), 400, "max_tokens", ">= 1"),
        (body(USER, max_tokens=1.5), 400, "max_tokens", "integer"),
        (body(USER, n=2), 400, "n", "must be 1"),
        (body(USER, stop=[""]), 400, "stop", "non-empty"),
        (body(USER, stream="yes"), 400, "stream", "boolean"),
        (body(USER, stream_options={}), 400, "stream_options", "only allowed"),
        (body(USER, tools=[]), 400, "tools", "too short"),
        (body(USER, tools=[{"type": "web"}]), 400, "tools[0].type", "function"),
        (body(USER, tool_choice="auto"), 400, "tool_choice", "only allowed"),
        (body(USER, tools=[FUNCTION], tool_choice="maybe"), 400, "tool_choice", "maybe"),
        (
            body(USER, tools=[FUNCTION], tool_choice={"type": "function", "function": {"name": "g"}}),
            400,
            "tool_choice",
            "'g' not found",
        ),
        (body(USER, response_format={"type": "xml"}), 400, "response_format.type", "Invalid"),
        (body(USER, response_format={"type": "json_schema"}), 400, "response_format.json_schema.schema", "Missing"),
    ],
)
async def test_a_bad_body_is_answered_with_the_parameter_that_is_wrong(client, simulator, sent, status, param, text):
    data = {"data": sent} if isinstance(sent, bytes) else {"json": sent}
    async with client.session.post("/v1/chat/completions", **data) as response:
        assert response.status == status
        error = (await response.json())["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert text in error["message"]
    total = simulator.books.total()
    assert (total.requests, total.failed, total.completed) == (1, 1, 0)


async def test_an_unknown_model_is_a_404_that_names_it(client, simulator):
    async with client.post({"model": "gpt-99", "messages": [USER]}) as response:
        assert response.status == 404
        error = (await response.json())["error"]
    assert error["code"] == "model_not_found"
    assert "gpt-99" in error["message"]
    assert simulator.books.as_json()["unattributed"]["failed"] == 1


async def test_input_over_the_window_is_refused_and_input_at_the_window_is_not(client, simulator):
    text = "x" * 4 * (8192 - 7)
    answer = await client.ask(text, "sim-tiny-8k")
    assert answer["usage"]["prompt_tokens"] == 8192
    assert answer["choices"][0]["finish_reason"] == "length"
    answer = await client.ask(text + "x", "sim-tiny-8k")
    assert answer["error"]["code"] == "context_length_exceeded"
    assert "8192 tokens" in answer["error"]["message"]
    assert simulator.books.account("sim-tiny-8k").failed == 1


async def test_an_unknown_route_is_refused_in_the_same_shape(client):
    async with client.session.get("/v1/nothing") as response:
        assert response.status == 404
        assert (await response.json())["error"]["message"] == "GET /v1/nothing: Not Found."
        assert response.headers["server"] == "omnisphere-simulator"


@pytest.mark.parametrize(
    ("fault", "param"),
    [
        ({"kind": "gremlin"}, "kind"),
        ({}, "kind"),
        ({"kind": "cut", "when": 1}, "when"),
        ({"kind": "cut", "times": 0}, "times"),
        ({"kind": "cut", "after_chunks": True}, "after_chunks"),
        ({"kind": "cut", "model": 4}, "model"),
        ({"kind": "status", "retry_after": []}, "retry_after"),
        ({"kind": "cut", "model": "gpt-99"}, None),
    ],
)
async def test_a_bad_fault_is_refused_and_none_of_its_list_is_kept(client, fault, param):
    async with client.post([{"kind": "reset"}, fault], "/faults") as response:
        assert response.status in (400, 404)
        assert (await response.json())["error"]["param"] == param
    assert await client.get("/faults") == {"faults": []}
