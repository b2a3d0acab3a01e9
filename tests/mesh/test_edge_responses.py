"""The official OpenAI client for Python speaks Responses to the HTTP edge."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai.types.responses import Response

from tests.mesh.edge import NO_CACHE, RESPONSES, SIMPLE, TWO_ORDERS, Person, chunks, http, openai_client, question
from tests.mesh.harness import Mesh

WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "description": "The weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
ORDER: Any = {
    "type": "function",
    "name": "order_status",
    "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}}},
    "strict": False,
}
# The simulated model that speaks this very format.
SAME = "gpt-5.6-sol"


@pytest.fixture
async def client(mesh: Mesh) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai_client(mesh.base_url) as client:
        yield client


def ask(text: str) -> Any:
    return [{"role": "user", "content": text}]


async def test_an_answer_is_typed_and_complete(client: openai.AsyncOpenAI) -> None:
    raw = await client.responses.with_raw_response.create(
        model="claude-sonnet",
        instructions="Be brief.",
        input="Who are you in Responses?",
        temperature=0.2,
        max_output_tokens=200,
        metadata={"a": "b"},
        store=True,
        include=["reasoning.encrypted_content"],
    )
    answer: Any = raw.parse()
    Response.model_validate_json(raw.text, strict=True)
    assert answer.model == "claude-sonnet-5-5"
    assert "claude-sonnet-5-5" in answer.output_text
    assert (answer.status, answer.metadata, answer.instructions) == ("completed", {"a": "b"}, "Be brief.")
    assert answer.model_extra["store"] is False
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0
    assert answer.id == f"resp_{answer._request_id}"


async def test_the_synchronous_client_works_as_well(mesh: Mesh) -> None:
    def call() -> str:
        with openai.OpenAI(base_url=f"{mesh.base_url}/v1", api_key="ignored") as client:
            return client.responses.create(model="auto", input="Synchronously, in Responses?").output_text

    assert "Synchronously" in await asyncio.to_thread(call)


@pytest.mark.parametrize("model", ["gpt-5-mini", SAME])
async def test_a_stream_adds_up_and_carries_usage(client: openai.AsyncOpenAI, model: str) -> None:
    stream = await client.responses.create(model=model, input="Stream in Responses", stream=True)
    events: list[Any] = [event async for event in stream]
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert "Stream in Responses" in text
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == text
    assert last.response.model == model
    assert last.response.usage.output_tokens > 0
    assert [event.sequence_number for event in events] == list(range(len(events)))


async def test_the_stream_helper_collects_the_response(client: openai.AsyncOpenAI) -> None:
    async with client.responses.stream(
        model="auto", input="Help me stream", extra_body={"omnisphere": {"decision": True}}
    ) as stream:
        text = "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])
        final = await stream.get_final_response()
    assert "Help me stream" in text
    assert final.output_text == text
    assert final.model == SIMPLE
    assert (final.model_extra or {})["omnisphere"]["model"] == SIMPLE


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_answer_is_parsed_into_a_form(client: openai.AsyncOpenAI, mesh: Mesh, streamed: bool) -> None:
    asked: Any = {"model": SAME, "input": f"Make up a person in Responses {streamed}", "text_format": Person}
    if streamed:
        async with client.responses.stream(**asked) as stream:
            answer: Any = await stream.get_final_response()
    else:
        answer = await client.responses.parse(**asked)
    assert isinstance(answer.output_parsed, Person)
    assert (await mesh.last_upstream())["body"]["text"]["format"]["name"] == "Person"


@pytest.mark.parametrize("model", ["gpt-5", SAME])
@pytest.mark.parametrize("streamed", [False, True])
async def test_calls_come_and_are_answered_together(
    client: openai.AsyncOpenAI, mesh: Mesh, streamed: bool, model: str
) -> None:
    request: Any = {"model": model, "tools": [ORDER], "extra_headers": NO_CACHE}
    items = ask(TWO_ORDERS)
    if streamed:
        async with client.responses.stream(input=items, **request) as stream:
            answer: Any = await stream.get_final_response()
    else:
        answer = await client.responses.create(input=items, **request)
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [json.loads(call.arguments)["order_id"] for call in calls] == ["48213", "48377"]
    assert len({call.call_id for call in calls}) == len({call.id for call in calls}) == 2
    items += [item.model_dump(exclude={"parsed_arguments"}, exclude_none=True) for item in answer.output]
    items += [
        {"type": "function_call_output", "call_id": call.call_id, "output": "a day in March"}
        for call in reversed(calls)
    ]
    done = await client.responses.create(input=items, **request)
    assert "five days later" in done.output_text
    body = (await mesh.last_upstream())["body"]
    sent = [row.get("type") or row["role"] for row in body["input"]] if model == SAME else body["messages"]
    assert len(sent) == (5 if model == SAME else 4)


async def test_a_tool_that_must_be_called_is(client: openai.AsyncOpenAI) -> None:
    choices: list[Any] = ["required", {"type": "function", "name": "weather"}, allowed("weather")]
    for choice in choices:
        answer = await client.responses.create(
            model="gpt-5",
            input=f"Which umbrella? {choice}",
            tools=[WEATHER, ORDER],
            tool_choice=choice,
            parallel_tool_calls=False,
        )
        (call,) = answer.output
        assert call.type == "function_call"
        assert json.loads(call.arguments) == {"city": "simulated"}


def allowed(*names: str) -> Any:
    return {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "function", "name": name} for name in names],
    }


async def test_pictures_and_files_reach_the_model(client: openai.AsyncOpenAI, mesh: Mesh) -> None:
    content: Any = [
        {"type": "input_text", "text": "What is in them, in Responses?"},
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo=", "detail": "low"},
        {"type": "input_image", "image_url": "https://example.com/cat.png", "detail": "auto"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="},
    ]
    await client.responses.create(model=SAME, input=[{"role": "user", "content": content}])
    assert (await mesh.last_upstream())["body"]["input"][0]["content"] == content


async def test_how_to_think_and_to_speak_goes_to_models_of_the_format_and_is_said_elsewhere(
    client: openai.AsyncOpenAI, mesh: Mesh
) -> None:
    said: Any = {"text": {"verbosity": "low"}, "reasoning": {"effort": "low"}}
    await client.responses.create(model=SAME, input="Briefly, please", **said)
    body = (await mesh.last_upstream())["body"]
    assert (body["text"], body["reasoning"]) == ({"verbosity": "low"}, {"effort": "low"})
    raw = await client.responses.with_raw_response.create(model="gpt-5", input="Briefly, please", **said)
    assert "verbosity" not in (await mesh.last_upstream())["body"]
    assert "vendor_options_json.text.verbosity" in raw.headers["x-omnisphere-degradations"]


async def test_an_answer_that_is_too_long_is_incomplete(client: openai.AsyncOpenAI) -> None:
    text = "Write a long story in Responses, as long as you can, please, with many words"
    answer = await client.responses.create(model=SAME, input=text, max_output_tokens=5)
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"
    stream = await client.responses.create(model=SAME, input=text, max_output_tokens=6, stream=True)
    assert [event.type async for event in stream][-1] == "response.incomplete"


async def test_failures_are_the_clients_own_exceptions(client: openai.AsyncOpenAI, mesh: Mesh) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        await client.responses.create(model="no-such-model", input="x")
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as wrong:
        await client.responses.create(model="auto", input="x", previous_response_id="resp_1")
    assert (wrong.value.code, wrong.value.param) == ("unsupported_parameter", "previous_response_id")
    assert "send the whole conversation as input" in wrong.value.message
    lonely: Any = {"type": "function_call_output", "call_id": "c9", "output": "x"}
    with pytest.raises(openai.BadRequestError) as misplaced:
        await client.responses.create(model="auto", input=[*ask("x"), lonely])
    assert misplaced.value.param == "input[1].call_id"
    await mesh.fault(kind="status", status=429, retry_after="3", model="gpt-5", times=20)
    with pytest.raises(openai.RateLimitError) as limited:
        await client.responses.create(model="gpt-5", input="Limit me in Responses")
    assert int(limited.value.response.headers["retry-after"]) <= 3
    await mesh.no_faults()
    await mesh.fault(kind="status", status=500, model="gpt-5", times=20)
    for stream in (False, True):
        with pytest.raises(openai.InternalServerError):
            await client.responses.create(model="gpt-5", input="Break in Responses", stream=stream)


async def test_nothing_is_stored_and_that_is_said(client: openai.AsyncOpenAI, mesh: Mesh) -> None:
    for call in (
        client.responses.retrieve("resp_1"),
        client.responses.delete("resp_1"),
        client.responses.cancel("resp_1"),
        client.responses.input_items.list("resp_1"),
    ):
        with pytest.raises(openai.NotFoundError, match="nothing is stored here") as missing:
            await call
        assert missing.value.code == "not_stored"
    async with http(mesh) as plain:
        counted = await plain.post(f"{RESPONSES}/input_tokens", json={})
        slash = await plain.post(f"{RESPONSES}/", json={})
    assert counted.json()["error"]["code"] == "unknown_path"
    assert slash.json()["error"]["message"].endswith(f"did you mean {RESPONSES}?")


@pytest.mark.parametrize("kind", ["cut", "clean_cut"])
@pytest.mark.parametrize("helper", [False, True])
async def test_a_stream_that_breaks_upstream_raises(
    client: openai.AsyncOpenAI, mesh: Mesh, kind: str, helper: bool
) -> None:
    await mesh.fault(kind=kind, after_chunks=4, pause_ms=150, model=SIMPLE)
    asked = f"What is the capital of {kind} {helper}, in Responses?"
    pieces: list[str] = []

    async def read() -> None:
        async with contextlib.AsyncExitStack() as stack:
            events: Any = (
                await stack.enter_async_context(client.responses.stream(model="auto", input=asked))
                if helper
                else await client.responses.create(model="auto", input=asked, stream=True)
            )
            async for event in events:
                pieces.append(event.type)  # noqa: PERF401 - kept when it fails

    with pytest.raises(openai.APIError, match="the answer broke off"):
        await read()
    assert "response.output_text.delta" in pieces


async def test_clients_that_read_on_after_the_error_see_that_the_response_failed(mesh: Mesh) -> None:
    await mesh.fault(kind="cut", after_chunks=4, pause_ms=150, model=SIMPLE)
    async with http(mesh) as plain:
        stream = await plain.post(RESPONSES, json=question("Cut me off in Responses", stream=True))
    error, failed = chunks(stream.text)[-2:]
    assert (error["type"], error["error"]["code"]) == ("error", "stream_interrupted")
    assert (failed["type"], failed["response"]["status"]) == ("response.failed", "failed")


async def test_the_decision_comes_in_headers_and_where_it_is_asked_for(mesh: Mesh) -> None:
    async with http(mesh) as plain:
        short = await plain.post(RESPONSES, json=question("Summarise Responses in one line."))
        whole = await plain.post(
            RESPONSES, json=question("Research Responses"), headers={"x-omnisphere-decision": "full"}
        )
        stream = await plain.post(RESPONSES, json=question("Stream of Responses", stream=True), headers=NO_CACHE)
    assert short.headers["x-omnisphere-task"] == "summarization"
    assert short.json()["id"] == f"resp_{short.headers['x-request-id']}"
    assert "omnisphere" not in short.json()
    assert whole.json()["omnisphere"]["policy"] == "auto"
    assert stream.headers["x-omnisphere-plan"].split(",")[0] == stream.headers["x-omnisphere-model"]
    figures = await mesh.router_metrics()
    assert 'omnisphere_http_server_requests_total{route="responses",status="200"}' in figures


async def test_an_answer_from_the_cache_is_a_response_as_well(client: openai.AsyncOpenAI, mesh: Mesh) -> None:
    asked: Any = {"model": "auto", "input": "Twice in Responses"}
    first = await client.responses.create(**asked)
    for _ in range(50):  # it is kept behind the answer
        async with client.responses.stream(**asked, extra_headers={"x-omnisphere-decision": "full"}) as stream:
            again: Any = await stream.get_final_response()
        if again.model_extra["omnisphere"]["cache"]["outcome"] == "CACHE_OUTCOME_EXACT_HIT":
            break
        await asyncio.sleep(0.02)
    assert again.output_text == first.output_text
    assert again.id != first.id
    assert again.usage.total_tokens == 0
