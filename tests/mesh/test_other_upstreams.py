"""A mesh before a server that the operator configured: reasoning, refusals, cached tokens, odd calls, real prices."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import NoCandidateLeft, ProviderAuth
from services.chassis.logs import Log
from services.router.collect import Collector
from services.together.one_process import OneProcess, load
from tests.mesh.harness import Mesh, asking, connected_to, environment

CANARY = "sk-canary-1f0e"
USAGE = {
    "prompt_tokens": 1_000,
    "completion_tokens": 70,
    "total_tokens": 1_070,
    "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 50},
}
# As Grok at Azure reports it: more cached tokens than tokens.
BOAST = {
    "prompt_tokens": 24,
    "completion_tokens": 2,
    "total_tokens": 26,
    "prompt_tokens_details": {"cached_tokens": 161},
}
CALLS = [
    {"index": 0, "id": "a", "type": "function", "function": {"name": "look", "arguments": '{"at": 1}'}},
    {"index": 1, "id": "b", "type": "function", "function": {"name": "look", "arguments": "{at: 2"}},
]
DELTAS: list[dict[str, Any]] = [
    {"role": "assistant", "reasoning_content": "Let me "},
    {"reasoning_content": "see."},
    {"content": "It is"},
    {"content": " this."},
    {"refusal": "Not that."},
    {"tool_calls": CALLS},
]
# A Messages API stream: a thought with its proof, a thought that is withheld, an answer.
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"id": "msg_1", "model": "claude-sonnet-5-5", "usage": {"input_tokens": 20}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "proof"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "sealed"}},
    {"type": "content_block_stop", "index": 1},
    {"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "Yes."}},
    {"type": "content_block_stop", "index": 2},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
    {"type": "message_stop"},
]


class Upstream:
    """A scripted server: every stream is DELTAS, or EVENTS. Keeps the headers and the messages that it was sent."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self.messages: list[dict[str, Any]] = []

    async def thoughtful(self, request: web.Request) -> web.StreamResponse:
        self.messages.append(await request.json())
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for event in EVENTS:
            await response.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
        return response

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self.headers.append(dict(request.headers))
        asked = await request.json()
        if not asked["stream"]:
            return web.Response(
                status=401, text=json.dumps({"error": {"message": f"bad key {CANARY}", "type": "auth"}})
            )
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for delta in DELTAS:
            await self._event(response, {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        await self._event(response, {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
        await self._event(response, {"choices": [], "usage": USAGE if asked["model"] == "gpt-5" else BOAST})
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _event(self, response: web.StreamResponse, chunk: dict[str, Any]) -> None:
        await response.write(b"data: " + json.dumps({"id": "x", **chunk}).encode() + b"\n\n")


@pytest.fixture
async def upstream() -> AsyncIterator[tuple[Upstream, int]]:
    scripted = Upstream()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", scripted.chat)
    app.router.add_post("/v1/messages", scripted.thoughtful)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield scripted, site.port
    await runner.cleanup()


@pytest.fixture
async def fronted(upstream: tuple[Upstream, int], state: Path) -> AsyncIterator[tuple[Mesh, Upstream, Path]]:
    """A mesh in one process whose only endpoints are the scripted server's, under names and prices of vendors."""
    scripted, port = upstream
    config = state / "providers.toml"
    config.write_text(
        f"""
        [[endpoint]]
        name = "mine"
        base_url = "http://127.0.0.1:{port}/v1"
        key_variable = "MINE_API_KEY"
        price_provider = "openai"
        serves = {{ "gpt-5" = "gpt-5", "gpt-5.6-sol" = "gpt-5.6-sol" }}
        region_tags = ["us"]

        [[endpoint]]
        name = "thinkers"
        base_url = "http://127.0.0.1:{port}/v1"
        key_variable = "MINE_API_KEY"
        format = "anthropic_messages"
        price_provider = "anthropic"
        serves = {{ "claude-sonnet-5-5" = "claude-sonnet-5-5" }}
        region_tags = ["eu", "eu-west"]
        """
    )
    more = {"OMNISPHERE_PROVIDERS_CONFIG": str(config), "MINE_API_KEY": CANARY, "OMNISPHERE_DISCOVER": "off"}
    free = {"OMNISPHERE_ROUTER_PORT": "0", "OMNISPHERE_ROUTER_METRICS_PORT": "0", "OMNISPHERE_ROUTER_DRAIN": "0s"}
    settings = load({**environment(state), "OMNISPHERE_SIMULATOR": "off", **more, **free})
    with (state / "log").open("w") as out:
        running = OneProcess(settings, Log("omnisphere", stream=out))
        await running.start()
        async with connected_to(running.port) as mesh:
            yield mesh, scripted, state / "log"
        await running.stop()


async def test_every_kind_of_fragment_and_every_class_of_tokens_arrives(
    fronted: tuple[Mesh, Upstream, Path],
) -> None:
    mesh, _, _ = fronted
    events, error = await mesh.stream(pb.StreamCompleteRequest(conversation=asking("Anything odd?"), model="gpt-5"))
    assert error is None
    parts = [part for event in events for part in event.delta.parts]
    assert "".join(part.reasoning for part in parts) == "Let me see."
    assert "".join(part.text for part in parts) == "It is this."
    assert "".join(part.refusal for part in parts) == "Not that."
    calls = {part.part_index: part.tool_call for part in parts if part.tool_call.id}
    assert {at: (call.id, call.name) for at, call in calls.items()} == {3: ("a", "look"), 4: ("b", "look")}
    assert [part.part_index for part in parts if part.tool_call.arguments_invalid] == [4]
    end = events[-1].end
    assert end.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS
    assert end.usage == chat_pb2.Usage(
        input_uncached_tokens=300,
        input_cache_read_tokens=600,
        input_cache_write_tokens=100,
        output_tokens=20,
        reasoning_tokens=50,
    )
    # gpt-5: 1.25 fresh (also for writes), 0.125 cached, 10 out, in USD per million.
    assert end.cost == chat_pb2.Cost(nanousd=400 * 1250 + 600 * 125 + 70 * 10_000, priced=True)
    assert not end.decision.simulated


async def test_a_cache_that_gives_more_than_was_asked_is_believed_up_to_the_total(
    fronted: tuple[Mesh, Upstream, Path],
) -> None:
    mesh, _, _ = fronted
    request = pb.StreamCompleteRequest(conversation=asking("Anything warm?"), model="gpt-5.6-sol")
    events, error = await mesh.stream(request)
    assert error is None
    end = events[-1].end
    assert end.usage == chat_pb2.Usage(input_cache_read_tokens=24, output_tokens=2)
    assert end.decision.attempts[0].usage == chat_pb2.Usage(
        input_cache_read_tokens=24, output_tokens=2, excess_cache_read_tokens=161 - 24
    )


async def test_a_price_that_depends_on_the_size_is_marked(fronted: tuple[Mesh, Upstream, Path]) -> None:
    mesh, _, _ = fronted
    models = (await mesh.call(mesh.router.ListModels, pb.ListModelsRequest())).models
    by_id = {model.id: model for model in models}
    assert by_id["gpt-5.6-sol"].prices.tiered
    assert not by_id["gpt-5"].prices.tiered
    assert by_id["gpt-5"].prices.source.startswith("genai-prices ")


async def test_the_key_goes_into_one_header_and_nowhere_else(fronted: tuple[Mesh, Upstream, Path]) -> None:
    mesh, scripted, log = fronted
    with pytest.raises(ProviderAuth) as caught:
        await mesh.complete("Is the key safe?", model="gpt-5")
    assert scripted.headers[-1]["Authorization"] == f"Bearer {CANARY}"
    assert "traceparent" in {name.lower() for name in scripted.headers[-1]}
    assert CANARY not in caught.value.message() + repr(vars(caught.value)) + repr(caught.value.__cause__)
    assert CANARY not in log.read_text()


async def test_a_key_that_is_refused_is_our_problem_and_says_so(fronted: tuple[Mesh, Upstream, Path]) -> None:
    mesh, _, _ = fronted
    with pytest.raises(ProviderAuth) as caught:
        await mesh.complete("Does the key fit?", model="gpt-5")
    assert caught.value.metadata == {"provider": "mine", "provider_type": "auth", "status": "401"}


async def test_the_callers_trace_reaches_the_provider(fronted: tuple[Mesh, Upstream, Path]) -> None:
    mesh, scripted, _ = fronted
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    metadata = (("traceparent", f"00-{trace}-00f067aa0ba902b7-01"),)
    request = pb.StreamCompleteRequest(conversation=asking("Who traces this?"), model="gpt-5")
    async for _ in mesh.router.StreamComplete(request, timeout=5, metadata=metadata):
        pass
    sent = {name.lower(): value for name, value in scripted.headers[-1].items()}["traceparent"]
    version, sent_trace, span, flags = sent.split("-")
    assert (version, sent_trace, flags) == ("00", trace, "01")
    assert span != "00f067aa0ba902b7"


async def test_thoughts_go_back_with_their_proofs(fronted: tuple[Mesh, Upstream, Path]) -> None:
    mesh, scripted, _ = fronted
    conversation = asking("Think, please")
    request = pb.StreamCompleteRequest(conversation=conversation, model="claude-sonnet-5-5")
    events, error = await mesh.stream(request)
    assert error is None
    collector = Collector()
    for event in events:
        if event.HasField("delta"):
            collector.apply(event.delta)
    thought, withheld, said = collector.message().parts
    assert (thought.reasoning.text, thought.signature.value) == ("Hm.", "proof")
    assert (withheld.reasoning.redacted, withheld.signature.value) == (True, "sealed")
    assert said.text == "Yes."
    conversation.messages.append(collector.message())
    conversation.messages.add(role=chat_pb2.ROLE_USER, parts=[chat_pb2.Part(text="And now?")])
    request = pb.StreamCompleteRequest(conversation=conversation, model="claude-sonnet-5-5")
    assert (await mesh.stream(request))[1] is None
    blocks = scripted.messages[-1]["messages"][1]["content"]
    assert [block["type"] for block in blocks] == ["thinking", "redacted_thinking", "text"]
    assert (blocks[0]["signature"], blocks[1]["data"]) == ("proof", "sealed")


async def test_a_region_is_where_the_operator_says_and_no_other_is_asked(
    fronted: tuple[Mesh, Upstream, Path],
) -> None:
    mesh, scripted, _ = fronted
    models = (await mesh.call(mesh.router.ListModels, pb.ListModelsRequest())).models
    tags = {model.id: [list(endpoint.region_tags) for endpoint in model.endpoints] for model in models}
    assert tags["claude-sonnet-5-5"] == [["eu", "eu-west"]]
    for region, reached in (("eu", "claude-sonnet-5-5"), ("us", "gpt-5")):
        options = pb.RequestOptions(policy="cost_aware", region_tags=[region])
        stream = pb.StreamCompleteRequest(conversation=asking(f"From {region}?"), options=options)
        events, _ = await mesh.stream(stream)
        assert events[-1].end.decision.model.startswith(reached)
    assert len(scripted.messages) == len(scripted.headers) == 1
    options = pb.RequestOptions(policy="cost_aware", region_tags=["moon"])
    request = pb.CompleteRequest(conversation=asking("From afar?"), options=options)
    with pytest.raises(NoCandidateLeft):
        await mesh.call(mesh.router.Complete, request)
