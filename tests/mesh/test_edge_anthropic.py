"""The official Anthropic client for Python against the HTTP edge."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest

from omnisphere.router.v1 import router_service_pb2 as pb
from tests.mesh.edge import MESSAGES, NO_CACHE, SIMPLE, TWO_ORDERS, chunks, http
from tests.mesh.harness import Mesh, asking

WEATHER: Any = {
    "name": "weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}

TEXT = [{"type": "text", "text": "Which files are there, agent?"}]


@pytest.fixture
async def client(mesh: Mesh) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=mesh.base_url, api_key="ignored", max_retries=0) as client:
        yield client


def ask(text: str) -> Any:
    return [{"role": "user", "content": text}]


async def test_a_message_is_typed_and_complete(client: anthropic.AsyncAnthropic, mesh: Mesh) -> None:
    system: Any = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    answer = await client.messages.create(
        model="claude-sonnet",
        max_tokens=300,
        system=system,
        messages=ask("Who are you, in messages?"),
        extra_body={"temperature": 0.1},  # newer clients have no parameter for it, older ones do
        stop_sequences=["never said"],
        metadata={"user_id": "somebody"},
    )
    (block,) = answer.content
    assert block.type == "text"
    assert "claude-sonnet-5-5" in block.text
    assert (answer.model, answer.role, answer.stop_reason) == ("claude-sonnet-5-5", "assistant", "end_turn")
    assert answer.usage.input_tokens > 0
    assert answer.usage.output_tokens > 0
    assert answer._request_id
    body = (await mesh.last_upstream())["body"]
    assert body["system"] == system
    assert body["stop_sequences"] == ["never said"]


async def test_the_stream_helper_collects_the_message(client: anthropic.AsyncAnthropic) -> None:
    async with client.messages.stream(model="auto", max_tokens=300, messages=ask("Stream a message, please")) as stream:
        text = "".join([piece async for piece in stream.text_stream])
        final = await stream.get_final_message()
    assert "Stream a message, please" in text
    assert final.content[0].type == "text"
    assert final.content[0].text == text
    assert final.stop_reason == "end_turn"
    assert final.usage.input_tokens > 0
    assert final.usage.output_tokens > 0
    assert final.model == SIMPLE


async def test_a_stream_names_the_model_that_took_over(client: anthropic.AsyncAnthropic, mesh: Mesh) -> None:
    planned = (await mesh.router.Explain(pb.ExplainRequest(conversation=asking("Who takes over?")))).decision
    first, second = (candidate.model for candidate in planned.candidates[:2])
    await mesh.fault(kind="status", status=500, model=first, times=20)
    async with client.messages.stream(model="auto", max_tokens=100, messages=ask("Who takes over?")) as stream:
        message = await stream.get_final_message()
    assert message.model == second


async def test_tools_make_a_round_trip(client: anthropic.AsyncAnthropic, mesh: Mesh) -> None:
    messages = ask("Which umbrella for Turku, in messages?")
    choice: Any = {"type": "any", "disable_parallel_tool_use": True}
    answer = await client.messages.create(
        model="gpt-5", max_tokens=300, messages=messages, tools=[WEATHER], tool_choice=choice
    )
    assert answer.stop_reason == "tool_use"
    call = answer.content[-1]
    assert call.type == "tool_use"
    assert call.input == {"city": "simulated"}
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "rain"}
    messages += [
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": [result, {"type": "text", "text": "And a hat?"}]},
    ]
    done = await client.messages.create(model="gpt-5", max_tokens=300, messages=messages, tools=[WEATHER])
    assert done.stop_reason == "end_turn"
    sent = (await mesh.last_upstream())["body"]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "user"]
    assert sent[2] == {"role": "tool", "tool_call_id": call.id, "content": "rain"}


@pytest.mark.parametrize("streamed", [False, True])
async def test_parallel_calls_come_and_are_answered_together(
    client: anthropic.AsyncAnthropic, mesh: Mesh, streamed: bool
) -> None:
    schema = {"type": "object", "properties": {"order_id": {"type": "string"}}}
    tools: Any = [{"name": "order_status", "input_schema": schema}]
    messages = ask(TWO_ORDERS)
    request: Any = {"model": "gpt-5", "max_tokens": 300, "tools": tools, "extra_headers": NO_CACHE}
    if streamed:
        async with client.messages.stream(messages=messages, **request) as stream:
            answer: Any = await stream.get_final_message()
    else:
        answer = await client.messages.create(messages=messages, **request)
    calls = [block for block in answer.content if block.type == "tool_use"]
    assert [call.input for call in calls] == [{"order_id": "48213"}, {"order_id": "48377"}]
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": "a day in March"} for call in calls]
    messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": results}]
    done = await client.messages.create(messages=messages, **request)
    assert done.content[0].type == "text"
    assert "five days later" in done.content[0].text
    sent = (await mesh.last_upstream())["body"]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "tool"]


async def test_the_tool_runner_goes_on_without_a_thread(client: anthropic.AsyncAnthropic) -> None:
    @anthropic.beta_async_tool
    async def order_status(order_id: str) -> str:
        """The status of an order."""
        return f"order {order_id} comes on a day in March"

    runner = client.beta.messages.tool_runner(
        model="gpt-5", max_tokens=300, messages=ask(TWO_ORDERS), tools=[order_status], extra_headers=NO_CACHE
    )
    turns = [turn async for turn in runner]
    assert [turn.stop_reason for turn in turns] == ["tool_use", "end_turn"]
    assert "five days later" in str(turns[-1].content)


async def test_what_coding_agents_send_by_themselves_is_taken(mesh: Mesh) -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    agent: Any = {
        "model": "claude-sonnet",
        "max_tokens": 32_000,
        "stream": True,
        "system": [{"type": "text", "text": "You are an agent. " * 2_000, "cache_control": mark}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "<reminder>", "cache_control": mark}, *TEXT]},
            {"role": "system", "content": "Answer in French from here on."},
        ],
        "tools": [{**WEATHER, "type": "custom", "eager_input_streaming": True, "cache_control": mark}],
        "metadata": {"user_id": "user_0_account__session_1"},
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": "high"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "diagnostics": {"previous_message_id": None},
    }
    headers = {
        "authorization": "Bearer ignored",
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,fine-grained-tool-streaming-2025-05-14",
        "anthropic-dangerous-direct-browser-access": "true",
        "x-app": "cli",
        "x-stainless-helper-method": "stream",
    }
    async with http(mesh) as client:
        answer = await client.post(f"{MESSAGES}?beta=true", json=agent, headers=headers)
        counted = await client.post(f"{MESSAGES}/count_tokens?beta=true", json=agent, headers=headers)
    assert answer.status_code == counted.status_code == 200
    events = chunks(answer.text)
    assert (events[0]["type"], events[-1]["type"]) == ("message_start", "message_stop")
    assert events[-2]["usage"]["input_tokens"] > 5_000
    assert counted.json()["input_tokens"] > 5_000
    assert "in French" in str((await mesh.last_upstream())["body"]["system"])


async def test_a_streamed_tool_call_adds_up(client: anthropic.AsyncAnthropic) -> None:
    choice: Any = {"type": "tool", "name": "weather"}
    async with client.messages.stream(
        model="gpt-5", max_tokens=300, messages=ask("Hat, streamed"), tools=[WEATHER], tool_choice=choice
    ) as stream:
        final = await stream.get_final_message()
    (call,) = final.content
    assert call.type == "tool_use"
    assert (call.name, call.input) == ("weather", {"city": "simulated"})
    assert final.stop_reason == "tool_use"


async def test_a_schema_makes_json(client: anthropic.AsyncAnthropic, mesh: Mesh) -> None:
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    await client.messages.create(
        model="gpt-5",
        max_tokens=100,
        messages=ask("An age, in messages"),
        extra_body={"output_config": {"format": {"type": "json_schema", "schema": schema}}},
    )
    form = (await mesh.last_upstream())["body"]["response_format"]
    assert form == {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


async def test_models_are_listed_and_found(client: anthropic.AsyncAnthropic) -> None:
    names = {model.id async for model in client.models.list()}
    assert {"auto", "claude-sonnet", "claude-sonnet-5-5"} <= names
    found = await client.models.retrieve("claude-sonnet")
    assert (found.type, found.max_input_tokens) == ("model", 1_000_000)


async def test_failures_are_the_clients_own_exceptions(client: anthropic.AsyncAnthropic, mesh: Mesh) -> None:
    with pytest.raises(anthropic.NotFoundError) as unknown:
        await client.messages.create(model="no-such-model", max_tokens=10, messages=ask("x"))
    body: Any = unknown.value.body
    assert body["error"]["type"] == "not_found_error"
    with pytest.raises(anthropic.BadRequestError, match="top_k: is not supported"):
        await client.messages.create(model="auto", max_tokens=10, messages=ask("x"), extra_body={"top_k": 3})
    await mesh.fault(kind="context_length", model="gpt-5")
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long: "):
        await client.messages.create(model="gpt-5", max_tokens=10, messages=ask("Too long in messages"))
    await mesh.fault(kind="status", status=429, retry_after="3", model="gpt-5", times=20)
    with pytest.raises(anthropic.RateLimitError) as limited:
        await client.messages.create(model="gpt-5", max_tokens=10, messages=ask("Limit me in messages"))
    assert int(limited.value.response.headers["retry-after"]) <= 3
    await mesh.no_faults()
    await mesh.fault(kind="status", status=500, model="gpt-5", times=20)
    with pytest.raises(anthropic.InternalServerError):
        await client.messages.create(model="gpt-5", max_tokens=10, messages=ask("Break in messages"))


@pytest.mark.parametrize("kind", ["cut", "clean_cut"])
async def test_a_stream_that_breaks_upstream_raises(client: anthropic.AsyncAnthropic, mesh: Mesh, kind: str) -> None:
    await mesh.fault(kind=kind, after_chunks=4, pause_ms=150, model=SIMPLE)
    pieces: list[str] = []

    async def read() -> None:
        text = f"What is the capital of France? Break off by {kind}"
        async with client.messages.stream(model="auto", max_tokens=300, messages=ask(text)) as stream:
            async for piece in stream.text_stream:
                pieces.append(piece)  # noqa: PERF401 - what came before the failure is kept

    with pytest.raises(anthropic.APIStatusError, match="the answer broke off"):
        await read()
    assert "".join(pieces)


async def test_what_is_wrong_is_named_in_the_callers_terms(client: anthropic.AsyncAnthropic) -> None:
    image: Any = {"type": "image", "source": {"type": "url", "url": "http://example.com/cat.png"}}
    result: Any = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "x"}
    cases: list[tuple[Any, str]] = [
        ([{"role": "user", "content": [{"type": "text", "text": "x"}, image]}], "messages[0].content[1].source.url"),
        ([{"role": "user", "content": [{"type": "text", "text": "x"}, result]}], "messages[0].content[1].tool_use_id"),
        ([*ask("x"), {"role": "tool", "content": "y"}], "messages[1].role"),
    ]
    for messages, place in cases:
        with pytest.raises(anthropic.BadRequestError) as wrong:
            await client.messages.create(model="auto", max_tokens=10, system="s", messages=messages)
        assert wrong.value.body["error"]["message"].startswith(f"{place}: ")  # type: ignore[index]


@pytest.mark.parametrize(("asked", "counted_for"), [("claude-sonnet", "claude-sonnet-5-5"), ("auto", SIMPLE)])
async def test_tokens_are_counted_without_asking_a_model(
    client: anthropic.AsyncAnthropic, mesh: Mesh, asked: str, counted_for: str
) -> None:
    before = await mesh.upstream_requests()
    messages: Any = [{"role": "user", "content": "How many tokens is this, counted?"}]
    tool: Any = {"name": "f", "description": "d", "input_schema": {"type": "object"}}
    raw = await client.messages.with_raw_response.count_tokens(model=asked, messages=messages)
    few: Any = await raw.parse()
    more = await client.messages.count_tokens(model=asked, messages=messages, tools=[tool], system="Be brief.")
    assert raw.headers["x-omnisphere-model"] == counted_for
    assert 5 < few.input_tokens < more.input_tokens
    assert await mesh.upstream_requests() == before
    with pytest.raises(anthropic.NotFoundError):
        await client.messages.count_tokens(model="no-such-model", messages=messages)
    with pytest.raises(anthropic.BadRequestError, match="messages: is empty"):
        await client.messages.count_tokens(model=asked, messages=[])
