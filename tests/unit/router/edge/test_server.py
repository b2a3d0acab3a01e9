"""The listener: opened, drained and closed in any order; connections that only take up room are ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import openai
import pytest
from prometheus_client import CollectorRegistry

from omnisphere.chat.v1 import chat_pb2
from omnisphere.context.v1 import context_service_pb2 as context_pb
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.settings import StartError
from services.router.edge import exchange, head
from services.router.edge.app import Edge
from services.router.edge.chat import Chat
from services.router.edge.count_tokens import CountTokens
from services.router.edge.embeddings import Embed, Embeddings
from services.router.edge.metrics import EdgeMetrics
from services.router.edge.server import HttpDoor
from tests.fakes.log import ReadableLog
from tests.unit.router.samples import Rig, rig


async def no_vectors(request: pb.EmbedRequest) -> pb.EmbedResponse:
    raise ZeroDivisionError("a text that nobody may see")


async def two_numbers(request: pb.EmbedRequest) -> pb.EmbedResponse:
    vectors = [pb.Embedding(values=[len(text), -0.5]) for text in request.texts]
    return pb.EmbedResponse(embeddings=vectors, usage=chat_pb2.Usage(input_uncached_tokens=7))


async def no_count(request: context_pb.CountTokensRequest, timeout: float) -> context_pb.CountTokensResponse:
    raise AssertionError


async def no_tokens(request: context_pb.DecodeTokensRequest, timeout: float) -> context_pb.DecodeTokensResponse:
    raise AssertionError


@asynccontextmanager
async def opened(embed: Embed = no_vectors) -> AsyncIterator[tuple[HttpDoor, ReadableLog, CollectorRegistry]]:
    async with rig() as it:
        log, registry = ReadableLog(), CollectorRegistry()
        door = HttpDoor(edge_of(it, log, registry, embed), host="127.0.0.1", port=0)
        await door.open()
        try:
            yield door, log, registry
        finally:
            await door.close(0)


def edge_of(it: Rig, log: ReadableLog, registry: CollectorRegistry, embed: Embed = no_vectors) -> Edge:
    return Edge(
        chat=Chat(it.pipeline),
        counter=CountTokens(no_count, it.catalogue, it.pipeline),
        embeddings=Embeddings(embed, no_tokens),
        catalogue=it.catalogue,
        policies=lambda: ("auto",),
        metrics=EdgeMetrics(registry),
        log=log,
        believes_tenant=False,
        most_calls=4,
        deadline=5,
    )


async def health(door: HttpDoor) -> tuple[int, str]:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{door.port}/healthz")
    return answer.status_code, answer.json()["status"]


async def test_health_follows_the_life_of_the_door():
    async with opened() as (door, _, _):
        assert await health(door) == (503, "starting")
        door.ready()
        assert await health(door) == (200, "serving")
        door.leave()
        assert await health(door) == (503, "draining")
        await door.close(1)
        with pytest.raises(httpx.ConnectError):
            await health(door)
        await door.close(1)


async def test_a_door_that_was_never_open_can_be_closed():
    async with rig() as it:
        await HttpDoor(edge_of(it, ReadableLog(), CollectorRegistry()), host="127.0.0.1", port=0).close(0)


async def test_a_port_that_is_none_is_said():
    async with rig() as it:
        door = HttpDoor(edge_of(it, ReadableLog(), CollectorRegistry()), host="127.0.0.1", port=70_000)
        with pytest.raises(StartError, match=r"http port 127\.0\.0\.1:70000 cannot be opened: not a port"):
            await door.open()


async def test_a_mistake_of_ours_is_an_id_for_the_caller_and_a_trace_in_the_log():
    async with opened() as (door, log, registry), httpx.AsyncClient() as client:
        answer = await client.post(f"http://127.0.0.1:{door.port}/v1/embeddings", json={"model": "m", "input": "x"})
        sample = registry.get_sample_value(
            "omnisphere_http_server_requests_total", {"route": "embeddings", "status": "500"}
        )
    assert answer.status_code == 500
    assert "a text that nobody may see" not in answer.text + log.text
    error_id = answer.json()["error"]["message"].split("error_id: ")[1].rstrip(")")
    assert error_id in log.text
    assert "ZeroDivisionError" in log.text
    assert sample == 1


async def test_a_connection_without_a_head_is_ended(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(head, "_HEAD_SECONDS", 0.05)
    async with opened() as (door, _, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(b"GET /healthz HT")
        assert await reader.read() == b""
        writer.close()


async def test_a_body_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exchange, "_BODY_SECONDS", 0.05)
    for begun in (b"", b'{"model"'):
        async with opened() as (door, _, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
            writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n" + begun)
            assert (await reader.readline()).startswith(b"HTTP/1.1 408")
            writer.close()


async def test_the_official_client_reads_vectors_as_base64_and_as_numbers():
    async with opened(two_numbers) as (door, _, _):
        base_url = f"http://127.0.0.1:{door.port}/v1"
        async with openai.AsyncOpenAI(base_url=base_url, api_key="ignored", max_retries=0) as client:
            packed = await client.embeddings.create(model="m", input=["abc", "z"])
            plain = await client.embeddings.create(model="m", input="abc", encoding_format="float")
    assert [row.embedding for row in packed.data] == [[3.0, -0.5], [1.0, -0.5]]
    assert plain.data[0].embedding == [3.0, -0.5]
    assert packed.usage.total_tokens == 7


async def test_what_never_came_to_the_pipeline_is_one_line_without_its_content():
    async with opened() as (door, log, _), httpx.AsyncClient() as client:
        body = {"messages": [], "a secret name": 1}
        await client.post(f"http://127.0.0.1:{door.port}/v1/chat/completions", json=body)
    (line,) = log.lines
    assert (line["event"], line["status"], line["code"]) == ("http_refused", 400, "unknown_parameter")
    assert "secret" not in log.text


async def test_a_caller_who_hangs_up_in_the_body_is_counted_as_such():
    async with opened() as (door, _, registry):
        _, writer = await asyncio.open_connection("127.0.0.1", door.port)
        writer.write(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{")
        await asyncio.sleep(0.02)
        writer.close()
        await asyncio.sleep(0.05)
        labels = {"route": "messages", "status": "499"}
        assert registry.get_sample_value("omnisphere_http_server_requests_total", labels) == 1


async def test_a_connection_that_is_used_again_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(head, "_HEAD_SECONDS", 0.05)
    async with opened() as (door, _, _), httpx.AsyncClient() as client:
        for _ in range(2):
            assert (await client.get(f"http://127.0.0.1:{door.port}/healthz")).status_code == 503
            await asyncio.sleep(0.08)
