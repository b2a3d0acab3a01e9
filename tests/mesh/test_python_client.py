"""The Python client against a whole mesh, sync and async: what a program in production leans on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, TypeAlias

import pytest

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere_client import (
    AsyncClient,
    AsyncStream,
    CacheOptions,
    Cancelled,
    Client,
    Completion,
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
    OmnisphereError,
    RateLimited,
    Restart,
    StreamInterrupted,
    TextDelta,
    Unavailable,
    image,
    system,
    tool,
    tool_result,
    user,
)
from tests.mesh.harness import Mesh

FRESH = CacheOptions(read=False, write=False)
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
UMBRELLAS = tool("weather", "The weather in a city.", CITY)


class InThreads:
    """The sync client as tests see it: every method in a thread, so that a mesh in this process goes on."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **more: Any) -> Any:
            return await asyncio.to_thread(getattr(self._client, name), *args, **more)

        return call


Asked: TypeAlias = Any  # an AsyncClient, or a Client in threads


@pytest.fixture(params=["sync", "async"])
async def client(request: pytest.FixtureRequest, mesh: Mesh) -> AsyncIterator[Asked]:
    """Every test runs with both clients, in both topologies."""
    async with connected(request.param, mesh) as made:
        yield made


class connected:  # noqa: N801 (reads as a function)
    """Either client, for a tenant."""

    def __init__(self, kind: str, mesh: Mesh, tenant: str = "") -> None:
        target = f"127.0.0.1:{mesh.port}"
        self._sync = Client(target, tenant=tenant, timeout=10) if kind == "sync" else None
        self._async = None if self._sync else AsyncClient(target, tenant=tenant, timeout=10)

    async def __aenter__(self) -> Asked:
        return self._async or InThreads(self._sync)  # type: ignore[arg-type]

    async def __aexit__(self, *_: object) -> None:
        if self._sync:
            await asyncio.to_thread(self._sync.close)
        if self._async:
            await self._async.close()


async def streamed(client: Asked, prompt: str, **more: Any) -> tuple[list[Any], Any]:
    """(all events, the stream after its end)."""
    if isinstance(client, AsyncClient):
        stream = client.stream(prompt, **more)
        return [event async for event in stream], stream
    stream = await client.stream(prompt, **more)
    return await asyncio.to_thread(list, stream), stream


async def test_an_answer_comes_with_its_model_usage_and_cost(client: Asked) -> None:
    answer: Completion = await client.complete("Which river is the longest, client?", cache=FRESH)
    assert "longest" in answer.text
    assert (answer.finish_reason, answer.tool_calls, answer.refusal) == ("stop", [], "")
    assert answer.model == answer.decision.model == "deepseek-v3.2"
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0
    assert answer.cost.priced
    assert answer.cost.usd > 0
    assert answer.request_id == answer.decision.request_id
    assert answer.proto.message == answer.message


async def test_a_stream_gives_the_same_answer_in_pieces(client: Asked) -> None:
    whole = await client.complete("Stream this, client", cache=FRESH)
    events, stream = await streamed(client, "Stream this, client", cache=FRESH)
    assert len(events) > 1
    assert all(isinstance(event, TextDelta) for event in events)
    assert "".join(event.text for event in events) == stream.text == whole.text
    assert stream.completion.message == whole.message
    assert stream.completion.cost == whole.cost
    assert stream.started.plan[0].model == whole.model


async def test_texts_alone_can_be_read(mesh: Mesh) -> None:
    async with AsyncClient(f"127.0.0.1:{mesh.port}") as client, client.stream("Only the text", cache=FRESH) as stream:
        assert "".join([text async for text in stream.texts()]) == stream.completion.text


async def test_a_conversation_with_a_tool_goes_round(client: Asked, mesh: Mesh) -> None:
    turns = [system("Be brief."), user("Which umbrella for Turku?")]
    asking = await client.complete(turns, tools=[UMBRELLAS], tool_choice="required")
    (call,) = asking.tool_calls
    assert (asking.finish_reason, call.name, call.arguments()) == ("tool_calls", "weather", {"city": "simulated"})
    turns += [asking.message, tool_result(call, "rain")]
    answer = await client.complete(turns, tools=[UMBRELLAS])
    assert answer.finish_reason == "stop"
    sent = (await mesh.last_upstream())["body"]["messages"]
    assert [turn["role"] for turn in sent] == ["system", "user", "assistant", "tool"]


async def test_a_picture_reaches_the_model(client: Asked, mesh: Mesh) -> None:
    picture = image(b"\x89PNG\r\n\x1a\n", "image/png")
    await client.complete([user("What is on this?", picture)], model="gpt-5", cache=FRESH)
    sent = (await mesh.last_upstream())["body"]["messages"][0]["content"]
    assert sent[1]["image_url"]["url"].startswith("data:image/png;base64,")


async def test_leaving_a_stream_ends_the_call_to_the_model(client: Asked, mesh: Mesh) -> None:
    await mesh.fault(kind="stall", after_chunks=3, model="deepseek-v3.2")
    if isinstance(client, AsyncClient):
        stream: Any = client.stream("Keep talking to the client until it leaves")
        await anext(stream)
    else:
        stream = await client.stream("Keep talking to the client until it leaves")
        await asyncio.to_thread(next, stream)
    assert await _calls_on_their_way(mesh) == 1
    stream.close()
    await all_calls_ended(mesh)
    with pytest.raises(Cancelled):
        _ = stream.completion


async def test_an_exception_in_the_block_ends_the_call_too(mesh: Mesh) -> None:
    await mesh.fault(kind="stall", after_chunks=3, model="deepseek-v3.2")
    async with AsyncClient(f"127.0.0.1:{mesh.port}") as client:
        with pytest.raises(ZeroDivisionError):
            async with client.stream("Talk until something breaks") as stream:
                raise ZeroDivisionError(await anext(stream))
        await all_calls_ended(mesh)


async def test_a_task_that_is_cancelled_stays_cancelled(mesh: Mesh) -> None:
    await mesh.fault(kind="stall", after_chunks=3, model="deepseek-v3.2")
    came = asyncio.Event()

    async def read(stream: AsyncStream) -> None:
        async with stream:
            async for _ in stream:
                came.set()

    async with AsyncClient(f"127.0.0.1:{mesh.port}") as client:
        task = asyncio.create_task(read(client.stream("Talk to a task that ends")))
        await came.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await all_calls_ended(mesh)


async def test_a_stream_that_breaks_off_raises_with_what_came(client: Asked, mesh: Mesh) -> None:
    await mesh.fault(kind="cut", after_chunks=4, pause_ms=150, model="deepseek-v3.2")
    with pytest.raises(StreamInterrupted) as caught:
        await streamed(client, "Cut the client off", cache=FRESH)
    assert caught.value.reason == "STREAM_INTERRUPTED"
    assert caught.value.partial_text.startswith("This is a simulated")
    assert caught.value.decision is not None
    assert caught.value.decision.attempts


async def test_a_restart_is_an_event_and_the_answer_is_whole(client: Asked, mesh: Mesh) -> None:
    await mesh.fault(kind="clean_cut", after_chunks=4, pause_ms=150, model="deepseek-v3.2")
    events, stream = await streamed(client, "Cut the client off, and start again", restart=True, cache=FRESH)
    assert [event for event in events if isinstance(event, Restart)] == [Restart("STREAM_INTERRUPTED", 2)]
    assert stream.completion.model == "gpt-5-mini"
    assert stream.text == stream.completion.text
    assert "gpt-5-mini" in stream.text


async def test_the_time_that_a_call_may_take_is_kept(client: Asked, mesh: Mesh) -> None:
    await mesh.fault(kind="silence", model="deepseek-v3.2", times=2)
    with pytest.raises(DeadlineExceeded) as caught:
        await client.complete("Nobody answers the client in time", timeout=0.5, cache=FRESH)
    assert caught.value.reason == "DEADLINE_EXCEEDED"
    with pytest.raises(DeadlineExceeded):
        await streamed(client, "Nobody answers the client in time", timeout=0.5, cache=FRESH)


async def test_rich_errors_are_told_apart_by_class(client: Asked, mesh: Mesh) -> None:
    with pytest.raises(InvalidRequest) as invalid:
        await client.complete("x", temperature=-1.0)
    assert (invalid.value.field, bool(invalid.value.problem)) == ("conversation.sampling.temperature", True)
    with pytest.raises(NotFound) as unknown:
        await client.complete("x", model="gpt-99")
    assert (unknown.value.reason, unknown.value.metadata["name"]) == ("UNKNOWN_MODEL", "gpt-99")
    await mesh.fault(kind="status", status=429, retry_after=2, model="gpt-5")
    with pytest.raises(RateLimited) as limited:
        await client.complete("Too fast, client", model="gpt-5", cache=FRESH)
    assert (limited.value.reason, limited.value.retry_after) == ("PROVIDER_RATE_LIMITED", 2.0)
    with pytest.raises(NotFound):
        await client.complete("Never asked before, client", cache=CacheOptions(only=True))
    assert issubclass(StreamInterrupted, Unavailable)
    assert str(unknown.value).startswith("UNKNOWN_MODEL: ")


async def test_a_request_id_makes_a_call_that_may_be_repeated(client: Asked, mesh: Mesh) -> None:
    before = await mesh.upstream_requests()
    name = f"client-{id(client)}"
    first = await client.complete("Once only, client", request_id=name, cache=FRESH)
    again = await client.complete("Once only, client", request_id=name, cache=FRESH)
    assert await mesh.upstream_requests() == before + 1
    assert again.decision.replayed
    assert (again.text, first.request_id, again.request_id) == (first.text, name, name)


async def test_a_question_is_sent_once_however_it_fails(client: Asked, mesh: Mesh) -> None:
    before = await mesh.upstream_requests()
    await mesh.fault(kind="status", status=400, model="gpt-5", times=5)
    with pytest.raises(OmnisphereError):
        await client.complete("Refused once", model="gpt-5", cache=FRESH)
    assert await mesh.upstream_requests() == before + 1


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_tenant_sees_and_forgets_its_own_answers(kind: str, mesh: Mesh) -> None:
    red = f"red-{kind}-{mesh.port}"
    async with connected(kind, mesh, red) as ours, connected(kind, mesh, f"blue-{kind}") as theirs:
        text = "What is the client's own?"
        await ours.complete(text, cache=CacheOptions(tags=["own"]))
        for _ in range(100):  # kept after the answer
            if (await ours.stats()).cache_entries:
                break
            await asyncio.sleep(0.02)
        hit = await ours.complete(text)
        assert hit.decision.cache.outcome == cache_pb.CACHE_OUTCOME_EXACT_HIT
        assert (hit.cost.nanousd, hit.cost.priced) == (0, True)
        other = await theirs.complete(text, cache=CacheOptions(write=False))
        assert other.decision.cache.outcome == cache_pb.CACHE_OUTCOME_MISS
        assert await ours.invalidate(tag="own", dry_run=True) == 1
        assert await theirs.invalidate(tag="own") == 0
        assert await ours.invalidate(tag="own") == 1
        assert (await ours.stats()).exact_hits >= 1


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_conversation_has_a_memory(kind: str, mesh: Mesh) -> None:
    async with connected(kind, mesh, f"memory-{kind}-{mesh.port}") as ours, connected(kind, mesh, "other") as theirs:
        ids = await ours.remember(["My boat is called Albatros.", "Tea at four."], tags=["t"], ttl=timedelta(hours=1))
        assert [item.text for item in await ours.recall("What is the boat called?", limit=1)] == [
            "My boat is called Albatros."
        ]
        assert await theirs.recall("What is the boat called?") == []
        answer = await ours.complete("What is my boat called?", conversation_id="talk", memory=True)
        assert "Albatros" in str((await mesh.last_upstream())["body"]["messages"])
        assert answer.decision.cache.outcome == cache_pb.CACHE_OUTCOME_NOT_ELIGIBLE
        said = ""
        for _ in range(100):  # remembered behind the answer
            said = str(await ours.recall("What is my boat called?", conversation_id="talk"))
            if "user: What is my boat called?" in said:
                break
            await asyncio.sleep(0.02)
        assert "user: What is my boat called?" in said
        assert await ours.forget(ids=ids[:1]) == 1
        assert await ours.forget(tag="t") == 1
        with pytest.raises(NotFound):
            await ours.expand(["nothing"])


async def test_the_plan_and_the_catalogue_can_be_seen(client: Asked, mesh: Mesh) -> None:
    before = await mesh.upstream_requests()
    plan = await client.explain("Summarise this, client", task="summarization")
    assert (plan.task_type, plan.candidates[0].model) == ("summarization", "gemini-3.8-flash")
    assert "claude-sonnet-5-5" in {model.id for model in await client.models()}
    assert await mesh.upstream_requests() == before


async def test_texts_become_vectors(client: Asked) -> None:
    made = await client.embed(["cheese", "bread"], model="embedding-small", dimensions=6, request_id="client-embeds")
    assert [len(vector) for vector in made.vectors] == [6, 6]
    assert (made.model, made.simulated, made.cost.nanousd) == ("text-embedding-3-small", True, 80)
    with pytest.raises(InvalidRequest) as refused:
        await client.embed(["cheese"], model="gpt-5")
    assert refused.value.field == "model"


async def all_calls_ended(mesh: Mesh) -> None:
    """Wait until no call is on its way to the model that stalls."""
    for _ in range(100):
        if await _calls_on_their_way(mesh) == 0:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the simulator still answers a caller who left")


async def _calls_on_their_way(mesh: Mesh) -> int:
    books = (await mesh._simulated("/books"))["models"]["deepseek-v3.2"]
    done = sum(books[name] for name in ("completed", "failed", "interrupted"))
    return int(books["requests"] - done)
