"""The official clients of three vendors take the simulator for their vendor: texts, streams, tools, errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import openai
import pytest
import pytest_asyncio
from google import genai
from google.genai import errors as google_errors
from google.genai import types as google

from services.simulator.faults import read_fault
from services.simulator.server import Simulator

# google-genai makes a class of aiohttp's, which aiohttp warns of.
pytestmark = pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession:DeprecationWarning")
PROMPT = "What is the capital of France?"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
MODEL = "gpt-5-mini"


def _url(simulator: Simulator) -> str:
    return f"http://127.0.0.1:{simulator.port}"


async def _said(simulator: Simulator) -> str:
    """What the model says, in the first of the dialects."""
    async with openai.AsyncOpenAI(base_url=f"{_url(simulator)}/v1", api_key="x", max_retries=0) as client:
        answer = await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": PROMPT}])
    return answer.choices[0].message.content or ""


@pytest_asyncio.fixture
async def messages(simulator: Simulator) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(base_url=_url(simulator), api_key="x", max_retries=0) as client:
        yield client


@pytest_asyncio.fixture
async def responses(simulator: Simulator) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{_url(simulator)}/v1", api_key="x", max_retries=0) as client:
        yield client


@pytest_asyncio.fixture
async def gemini(simulator: Simulator) -> AsyncIterator[genai.Client]:
    client = genai.Client(api_key="x", http_options=google.HttpOptions(base_url=_url(simulator)))
    yield client
    await client.aio.aclose()
    client.close()


async def test_anthropic_messages_whole_streamed_and_with_tools(
    simulator: Simulator, messages: anthropic.AsyncAnthropic
):
    expected = await _said(simulator)
    ask: dict[str, Any] = {"model": MODEL, "max_tokens": 500, "messages": [{"role": "user", "content": PROMPT}]}
    whole = await messages.messages.create(**ask)
    assert (whole.content[0].text, whole.stop_reason) == (expected, "end_turn")
    async with messages.messages.stream(**ask) as stream:
        assert "".join([text async for text in stream.text_stream]) == expected
        assert (await stream.get_final_message()).usage.output_tokens == whole.usage.output_tokens
    tools = [{"name": "look_up", "description": "x", "input_schema": SCHEMA}]
    forced = ask | {"tools": tools, "tool_choice": {"type": "tool", "name": "look_up"}}
    called = await messages.messages.create(**forced)
    (use,) = called.content
    assert (use.type, use.name, set(use.input), called.stop_reason) == ("tool_use", "look_up", {"city"}, "tool_use")
    async with messages.messages.stream(**forced) as stream:
        (streamed,) = (await stream.get_final_message()).content
    assert streamed.type == "tool_use"
    assert streamed.input == use.input
    result = {"type": "tool_result", "tool_use_id": use.id, "content": "Paris"}
    turns = [*ask["messages"], {"role": "assistant", "content": [use]}, {"role": "user", "content": [result]}]
    assert (await messages.messages.create(**(ask | {"messages": turns, "tools": tools}))).stop_reason == "end_turn"


async def test_openai_responses_whole_streamed_and_with_tools(simulator: Simulator, responses: openai.AsyncOpenAI):
    expected = await _said(simulator)
    whole = await responses.responses.create(model=MODEL, input=PROMPT)
    assert (whole.output_text, whole.status) == (expected, "completed")
    async with responses.responses.stream(model=MODEL, input=PROMPT) as stream:
        deltas = [event.delta async for event in stream if event.type == "response.output_text.delta"]
        assert "".join(deltas) == expected
        final = await stream.get_final_response()
    assert (final.output_text, final.usage) == (expected, whole.usage)
    tools: Any = [{"type": "function", "name": "look_up", "parameters": SCHEMA, "strict": False}]
    called = await responses.responses.create(
        model=MODEL, input=PROMPT, tools=tools, tool_choice={"type": "function", "name": "look_up"}
    )
    (call,) = called.output
    assert call.type == "function_call"
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "Paris"}
    turns: Any = [{"role": "user", "content": PROMPT}, call.model_dump(), result]
    assert (await responses.responses.create(model=MODEL, input=turns, tools=tools)).output_text


async def test_gemini_whole_streamed_and_with_tools(simulator: Simulator, gemini: genai.Client):
    expected = await _said(simulator)
    models = gemini.aio.models
    whole = await models.generate_content(model=MODEL, contents=PROMPT)
    assert whole.text == expected
    assert whole.candidates
    assert whole.candidates[0].finish_reason == google.FinishReason.STOP
    chunks = [chunk async for chunk in await models.generate_content_stream(model=MODEL, contents=PROMPT)]
    assert "".join(chunk.text or "" for chunk in chunks) == expected
    assert chunks[-1].usage_metadata == whole.usage_metadata
    function = google.FunctionDeclaration(name="look_up", parameters_json_schema=SCHEMA)
    calling = google.FunctionCallingConfig(
        mode=google.FunctionCallingConfigMode.ANY, allowed_function_names=["look_up"]
    )
    config = google.GenerateContentConfig(
        tools=[google.Tool(function_declarations=[function])],
        tool_config=google.ToolConfig(function_calling_config=calling),
    )
    called = await models.generate_content(model=MODEL, contents=PROMPT, config=config)
    assert called.function_calls
    assert called.candidates
    (call,) = called.function_calls
    assert (call.name, set(call.args or {})) == ("look_up", {"city"})
    answer = google.Part.from_function_response(name="look_up", response={"city": "Paris"})
    turns: Any = [
        google.Content(role="user", parts=[google.Part(text=PROMPT)]),
        called.candidates[0].content,
        google.Content(role="user", parts=[answer]),
    ]
    config.tool_config = None
    assert (await models.generate_content(model=MODEL, contents=turns, config=config)).text


async def test_errors_are_the_clients_own(
    simulator: Simulator, messages: anthropic.AsyncAnthropic, responses: openai.AsyncOpenAI, gemini: genai.Client
):
    simulator.faults.add(read_fault({"kind": "status", "status": 529}))
    with pytest.raises(anthropic.InternalServerError) as overloaded:
        await messages.messages.create(model=MODEL, max_tokens=5, messages=[{"role": "user", "content": "x"}])
    assert "overloaded_error" in str(overloaded.value.body)
    simulator.faults.add(read_fault({"kind": "status", "status": 429, "retry_after": 7}))
    with pytest.raises(google_errors.ClientError) as limited:
        await gemini.aio.models.generate_content(model=MODEL, contents="x")
    assert limited.value.status == "RESOURCE_EXHAUSTED"
    assert limited.value.details["error"]["details"][0]["retryDelay"] == "7s"
    with pytest.raises(openai.NotFoundError):
        await responses.responses.create(model="no-such-model", input="x")
    wrong: Any = [{"role": "tool", "content": "x"}]
    with pytest.raises(anthropic.BadRequestError):
        await messages.messages.create(model=MODEL, max_tokens=5, messages=wrong)


async def test_an_error_in_the_middle_of_a_stream_is_seen(
    simulator: Simulator, messages: anthropic.AsyncAnthropic, responses: openai.AsyncOpenAI
):
    simulator.faults.add(read_fault({"kind": "error_event", "times": 2}))
    with pytest.raises(anthropic.APIStatusError):
        async with messages.messages.stream(
            model=MODEL, max_tokens=500, messages=[{"role": "user", "content": PROMPT}]
        ) as stream:
            await stream.get_final_message()
    stream_of_events = await responses.responses.create(model=MODEL, input=PROMPT, stream=True)
    kinds = [event.type async for event in stream_of_events]  # this client hands the error over as an event
    assert kinds[-1] == "error"
    assert "response.completed" not in kinds
