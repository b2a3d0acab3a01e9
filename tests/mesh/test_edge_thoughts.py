"""Thoughts of reasoning models over two turns of Responses: their proofs go back byte for byte, whoever made them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
from aiohttp import web

from services.chassis.logs import Log
from services.together.one_process import OneProcess, load
from tests.mesh.edge import NO_CACHE, openai_client
from tests.mesh.harness import environment
from tests.mesh.test_other_upstreams import EVENTS, Upstream

SEALED, EARLY = "gAAAA+/=#b", "gAAAA-early"
ITEM = {"type": "reasoning", "id": "rs_up", "summary": [{"type": "summary_text", "text": "Hm."}]}
CALL = {"type": "function_call", "id": "fc_up", "call_id": "call_up", "name": "look", "arguments": '{"at":1}'}
LOOK: Any = {"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": False}
USAGE = {
    "input_tokens": 20,
    "input_tokens_details": {"cached_tokens": 5},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 29,
}


def response(*items: Any, status: str = "completed") -> dict[str, Any]:
    return {"id": "resp_up", "object": "response", "status": status, "output": items, "usage": USAGE}


def events(item: Any) -> list[dict[str, Any]]:
    """A thought and a call. The proof that counts comes with the last event."""
    begun = CALL | {"arguments": ""}
    return [
        {"type": "response.created", "response": response(status="in_progress")},
        {"type": "response.output_item.added", "output_index": 0, "item": ITEM | {"summary": []}},
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "Hm."},
        {"type": "response.output_item.done", "output_index": 0, "item": ITEM | {"encrypted_content": EARLY}},
        {"type": "response.output_item.added", "output_index": 1, "item": begun},
        {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": CALL["arguments"]},
        {"type": "response.output_item.done", "output_index": 1, "item": CALL},
        {"type": "response.completed", "response": response(item, CALL)},
    ]


class Thinker(Upstream):
    """It thinks and calls; then it answers, if its thought comes back as it was."""

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """A server of the Responses format."""
        asked = await request.json()
        self.messages.append(asked)
        item = ITEM | {"encrypted_content": SEALED}
        if len(asked["input"]) > 1:
            if asked["input"][1] != item:
                return web.json_response({"error": {"message": "no", "code": "invalid_encrypted_content"}}, status=400)
            text = {"type": "output_text", "text": "Seen.", "annotations": []}
            return web.json_response(response({"type": "message", "id": "m", "role": "assistant", "content": [text]}))
        if not asked["stream"]:
            return web.json_response(response(item, CALL))
        stream = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await stream.prepare(request)
        for event in events(item):
            await stream.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        return stream


@pytest.fixture
async def thinking(state: Path) -> AsyncIterator[tuple[openai.AsyncOpenAI, Thinker]]:
    """A client of a mesh in one process whose only endpoints are the thinker's, in two formats."""
    scripted, app = Thinker(), web.Application()
    app.router.add_post("/v1/responses", scripted.respond)
    app.router.add_post("/v1/messages", scripted.thoughtful)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    config = state / "providers.toml"
    models = {"openai_responses": "gpt-5.6-sol", "anthropic_messages": "claude-sonnet-5-5"}
    config.write_text(
        "".join(
            f'[[endpoint]]\nname = "{name}"\nformat = "{name}"\nbase_url = "http://127.0.0.1:{site.port}/v1"\n'
            f'key_variable = "MINE_API_KEY"\nserves = {{ "{model}" = "{model}" }}\n'
            for name, model in models.items()
        )
    )
    more = {"OMNISPHERE_PROVIDERS_CONFIG": str(config), "MINE_API_KEY": "k", "OMNISPHERE_DISCOVER": "off"}
    free = {"OMNISPHERE_ROUTER_PORT": "0", "OMNISPHERE_ROUTER_METRICS_PORT": "0", "OMNISPHERE_ROUTER_DRAIN": "0s"}
    settings = load({**environment(state), "OMNISPHERE_SIMULATOR": "off", **more, **free})
    with (state / "log").open("w") as out:
        running = OneProcess(settings, Log("omnisphere", stream=out))
        await running.start()
        async with openai_client(f"http://127.0.0.1:{running.http_port}") as client:
            yield client, scripted
        await running.stop()
    await runner.cleanup()


async def answer(client: openai.AsyncOpenAI, *, streamed: bool, **asked: Any) -> Any:
    if not streamed:
        return await client.responses.create(**asked, extra_headers=NO_CACHE)
    async with client.responses.stream(**asked, extra_headers=NO_CACHE) as stream:
        return await stream.get_final_response()


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_thought_goes_back_to_the_model_of_the_same_format_as_it_was(
    thinking: tuple[openai.AsyncOpenAI, Thinker], streamed: bool
) -> None:
    client, scripted = thinking
    items: list[Any] = [{"role": "user", "content": "What do you see?"}]
    asked: Any = {"model": "gpt-5.6-sol", "tools": [LOOK]}
    first = await answer(client, streamed=streamed, input=items, reasoning={"summary": "auto"}, **asked)
    assert scripted.messages[0]["reasoning"] == {"summary": "auto"}
    assert [item.type for item in first.output] == ["reasoning", "function_call"]
    assert first.output[0].summary[0].text == "Hm."
    assert SEALED in first.output[0].encrypted_content
    assert first.usage.input_tokens_details.cached_tokens == 5
    assert first.usage.output_tokens_details.reasoning_tokens == 4
    items += [item.to_dict() for item in first.output]
    items.append({"type": "function_call_output", "call_id": "call_up", "output": "a cat"})
    done = await client.responses.create(input=items, **asked)
    assert done.output_text == "Seen."


async def test_thoughts_of_another_format_go_back_as_well(thinking: tuple[openai.AsyncOpenAI, Thinker]) -> None:
    client, scripted = thinking
    items: list[Any] = [{"role": "user", "content": "Are you sure?"}]
    first = await answer(client, streamed=True, model="claude-sonnet-5-5", input=items)
    assert [item.type for item in first.output] == ["reasoning", "reasoning", "message"]
    assert first.output_text == "Yes."
    items += [*first.output, {"role": "user", "content": "Really?"}]
    await answer(client, streamed=True, model="claude-sonnet-5-5", input=items)
    said = scripted.messages[-1]["messages"][1]["content"]
    assert said[0] == {"type": "thinking", "thinking": "Hm.", "signature": "proof"}
    assert said[1] == {"type": "redacted_thinking", "data": EVENTS[5]["content_block"]["data"]}


async def test_thoughts_go_to_no_other_model(thinking: tuple[openai.AsyncOpenAI, Thinker]) -> None:
    client, scripted = thinking
    items: list[Any] = [{"role": "user", "content": "What do you see now?"}]
    first = await answer(client, streamed=False, model="gpt-5.6-sol", input=items, tools=[LOOK])
    items += [item.to_dict() for item in first.output]
    items.append({"type": "function_call_output", "call_id": "call_up", "output": "a dog"})
    await answer(client, streamed=True, model="claude-sonnet-5-5", input=items, tools=[LOOK])
    assert SEALED not in json.dumps(scripted.messages[-1])
