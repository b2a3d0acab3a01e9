"""The official OpenAI client for Python against the HTTP edge."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest

from tests.mesh.edge import NO_CACHE, SIMPLE, TWO_ORDERS, Person, openai_client
from tests.mesh.harness import Mesh

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture
async def client(mesh: Mesh) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai_client(mesh.base_url) as client:
        yield client


def ask(text: str) -> Any:
    return [{"role": "user", "content": text}]


async def test_an_answer_is_typed_and_complete(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="claude-sonnet",
        messages=[{"role": "developer", "content": "Be brief."}, *ask("Who are you over HTTP?")],
        temperature=0.2,
        max_completion_tokens=200,
        seed=7,
        user="somebody",
    )
    assert answer.model == "claude-sonnet-5-5"
    assert "claude-sonnet-5-5" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert answer._request_id


async def test_the_synchronous_client_works_as_well(mesh: Mesh) -> None:
    def call() -> str | None:
        with openai.OpenAI(base_url=f"{mesh.base_url}/v1", api_key="ignored") as client:
            answer = client.chat.completions.create(model="auto", messages=ask("Synchronously?"))
            return answer.choices[0].message.content

    assert "Synchronously?" in (await asyncio.to_thread(call) or "")


async def test_a_stream_adds_up_and_carries_usage(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="gpt-5-mini",
        messages=ask("Stream to the official client"),
        stream=True,
        stream_options={"include_usage": True},
    )
    text, finish, usage = "", None, None
    async for chunk in stream:
        assert chunk.model == "gpt-5-mini"
        usage = chunk.usage or usage
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    assert "Stream to the official client" in text
    assert finish == "stop"
    assert usage is not None
    assert usage.completion_tokens > 0


async def test_tools_make_a_round_trip_whole(client: openai.AsyncOpenAI, mesh: Mesh) -> None:
    messages = ask("Which umbrella for Oslo, over HTTP?")
    answer = await client.chat.completions.create(
        model="gpt-5", messages=messages, tools=[WEATHER], tool_choice="required", parallel_tool_calls=False
    )
    assert answer.choices[0].finish_reason == "tool_calls"
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"city": "simulated"}
    messages += [answer.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
    done = await client.chat.completions.create(model="gpt-5", messages=messages, tools=[WEATHER])
    assert done.choices[0].finish_reason == "stop"
    sent = (await mesh.last_upstream())["body"]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool"]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == call.id


@pytest.mark.parametrize("streamed", [False, True])
async def test_parallel_calls_come_and_are_answered_together(
    client: openai.AsyncOpenAI, mesh: Mesh, streamed: bool
) -> None:
    name: Any = {"type": "string"}
    parameters = {"type": "object", "properties": {"order_id": name}}
    tools: Any = [{"type": "function", "function": {"name": "order_status", "parameters": parameters}}]
    messages = ask(TWO_ORDERS)
    request: Any = {"model": "gpt-5", "tools": tools, "extra_headers": NO_CACHE}
    if streamed:
        async with client.chat.completions.stream(messages=messages, **request) as stream:
            answer: Any = await stream.get_final_completion()
    else:
        answer = await client.chat.completions.create(messages=messages, **request)
    calls = answer.choices[0].message.tool_calls
    assert [json.loads(call.function.arguments)["order_id"] for call in calls] == ["48213", "48377"]
    assert len({call.id for call in calls}) == 2
    messages.append(answer.choices[0].message.model_dump(exclude_none=True, exclude={"parsed"}))
    messages += [{"role": "tool", "tool_call_id": call.id, "content": "a day in March"} for call in reversed(calls)]
    done = await client.chat.completions.create(messages=messages, **request)
    assert "five days later" in (done.choices[0].message.content or "")
    sent = (await mesh.last_upstream())["body"]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool", "tool"]


async def test_the_stream_helper_collects_tool_calls(client: openai.AsyncOpenAI) -> None:
    choice: Any = {"type": "function", "function": {"name": "weather"}}
    async with client.chat.completions.stream(
        model="gpt-5", messages=ask("Umbrella, streamed"), tools=[WEATHER], tool_choice=choice
    ) as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls or []
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "simulated"})


async def test_an_answer_is_parsed_into_a_form(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.parse(
        model="gpt-5", messages=ask("Make up a person over HTTP"), response_format=Person
    )
    assert isinstance(answer.choices[0].message.parsed, Person)


async def test_pictures_and_files_reach_the_model(client: openai.AsyncOpenAI, mesh: Mesh) -> None:
    content: Any = [
        {"type": "text", "text": "What is in them, over HTTP?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
    ]
    await client.chat.completions.create(model="gpt-5", messages=[{"role": "user", "content": content}])
    assert (await mesh.last_upstream())["body"]["messages"][0]["content"] == content


async def test_models_are_listed_and_found(client: openai.AsyncOpenAI) -> None:
    names = {model.id async for model in client.models.list()}
    assert {"auto", "policy:local_first", "claude-sonnet", "claude-sonnet-5-5"} <= names
    assert (await client.models.retrieve("claude-sonnet-5-5")).owned_by == "anthropic"
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("no-such-model")


async def test_failures_are_the_clients_own_exceptions(client: openai.AsyncOpenAI, mesh: Mesh) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        await client.chat.completions.create(model="no-such-model", messages=ask("x"))
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as wrong:
        await client.chat.completions.create(model="auto", messages=ask("x"), logit_bias={"1": 2})
    assert (wrong.value.code, wrong.value.param) == ("unsupported_parameter", "logit_bias")
    await mesh.fault(kind="status", status=429, retry_after="3", model="gpt-5", times=20)
    with pytest.raises(openai.RateLimitError) as limited:
        await client.chat.completions.create(model="gpt-5", messages=ask("Limit me, official client"))
    assert int(limited.value.response.headers["retry-after"]) <= 3
    await mesh.no_faults()
    await mesh.fault(kind="status", status=500, model="gpt-5", times=20)
    with pytest.raises(openai.InternalServerError):
        await client.chat.completions.create(model="gpt-5", messages=ask("Break, official client"))


@pytest.mark.parametrize("kind", ["cut", "clean_cut"])
async def test_a_stream_that_breaks_upstream_raises(client: openai.AsyncOpenAI, mesh: Mesh, kind: str) -> None:
    await mesh.fault(kind=kind, after_chunks=4, pause_ms=150, model=SIMPLE)
    stream = await client.chat.completions.create(
        model="auto", messages=ask(f"What is the capital of {kind}?"), stream=True
    )
    pieces: list[str] = []

    async def read() -> None:
        async for chunk in stream:
            pieces.append(chunk.choices[0].delta.content or "")  # noqa: PERF401 - kept when it fails

    with pytest.raises(openai.APIError, match="the answer broke off"):
        await read()
    assert "".join(pieces)


async def test_extras_travel_in_extra_headers_and_extra_body(client: openai.AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(
        model="policy:local_first",
        messages=ask("With extras"),
        extra_headers={"x-omnisphere-task": "research", **NO_CACHE},
        extra_body={"omnisphere": {"decision": True}},
    )
    assert raw.headers["x-omnisphere-task"] == "research"
    decision: Any = (await _parsed(raw)).model_extra["omnisphere"]
    assert decision["task_source"] == "TASK_SOURCE_HINT"


# The official client asks for base64 by itself.
async def test_embeddings_are_typed(client: openai.AsyncOpenAI) -> None:
    model = await embedding_model(client)
    texts = ["one text", "another text"]
    answer = await client.embeddings.create(model=model, input=texts)
    floats = await client.embeddings.create(model=model, input=texts, encoding_format="float")
    assert [row.index for row in answer.data] == [0, 1]
    assert len(answer.data[0].embedding) > 1
    assert answer.data[1].embedding == pytest.approx(floats.data[1].embedding)
    assert answer.usage.total_tokens > 0


async def embedding_model(client: openai.AsyncOpenAI) -> str:
    """The first model that is named like one for embeddings."""
    names = [model.id async for model in client.models.list()]
    return next((name for name in names if "embed" in name), "text-embedding-3-small")


async def _parsed(raw: Any) -> Any:
    parsed = raw.parse()
    return await parsed if asyncio.iscoroutine(parsed) else parsed
