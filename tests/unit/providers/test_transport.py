"""HTTP as it goes wrong, byte by byte: each has its cause, and leaving early hangs up at once."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

from services.chassis.errors import ProviderUnavailable
from services.providers.patience import Limits
from services.providers.transport import Transport

LIMITS = Limits(connect=2, first_token=2, whole=2, idle=2, total=5, most_bytes=1 << 20)
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    made = Transport(LIMITS)
    yield made
    await made.close()


async def listening(serve: Serve) -> tuple[asyncio.Server, str]:
    """A server that reads the head of a request, then does as it is told."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"


def sending(data: bytes) -> Serve:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return serve


async def aborting(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


SCRIPTS: dict[str, tuple[Serve, str]] = {
    "reset before the head": (aborting, "hung_up"),
    "closed before the head": (sending(b""), "hung_up"),
    "closed within the head": (sending(HEAD[:30]), "hung_up"),
    "no HTTP": (sending(b"HELLO\r\n\r\n"), "protocol"),
    "a bad header": (sending(b"HTTP/1.1 200 OK\r\nbad header\x00: x\r\n\r\n"), "protocol"),
    "a huge header": (sending(b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n"), "protocol"),
    "two lengths": (sending(HEAD + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n"), "protocol"),
    "a length that is none": (sending(HEAD + b"content-length: abc\r\n\r\nhello"), "protocol"),
    "a shorter body": (sending(HEAD + b"content-length: 100\r\n\r\nhello"), "hung_up"),
    "an unfinished body": (sending(CHUNKED + b"5\r\nhello\r\n"), "hung_up"),
}


@pytest.mark.parametrize("name", SCRIPTS)
async def test_whatever_a_server_does_is_a_cause(transport: Transport, name: str):
    serve, cause = SCRIPTS[name]
    server, url = await listening(serve)
    with pytest.raises(ProviderUnavailable) as failure, await transport.post(url, {}, b"{}", "p", stream=True) as got:
        await got.body()
    assert failure.value.metadata == {"provider": "p", "cause": cause, "provider_type": "transport"}
    server.close()


async def test_a_bad_chunk_is_a_cause(transport: Transport):
    server, url = await listening(sending(CHUNKED + b"5\r\nhello\r\nZZ\r\nxx"))
    with pytest.raises(ProviderUnavailable) as failure, await transport.post(url, {}, b"{}", "p", stream=True) as got:
        await got.body()
    assert failure.value.metadata["cause"] in ("protocol", "hung_up")  # by how it arrived
    server.close()


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        ("http://127.0.0.1:1/x", "connect"),
        ("https://127.0.0.1:1/x", "connect"),
        ("ftp://127.0.0.1/x", "url"),
        ("no-address/x", "url"),
        ("http:///x", "url"),
        ("http://h:no-port/x", "url"),
    ],
)
async def test_an_address_where_nobody_is_is_a_cause(transport: Transport, url: str, cause: str):
    with pytest.raises(ProviderUnavailable) as failure, await transport.post(url, {}, b"{}", "p", stream=True):
        raise AssertionError
    assert failure.value.metadata["cause"] == cause
    with pytest.raises(ProviderUnavailable):
        await transport.get(url, {}, "p", patience=1)


async def test_a_body_that_ends_with_its_connection_is_whole(transport: Transport):
    server, url = await listening(sending(HEAD + b"connection: close\r\n\r\nhello"))
    with await transport.post(url, {}, b"{}", "p", stream=True) as answering:
        assert (answering.status, await answering.body()) == (200, b"hello")
    server.close()


@pytest.mark.parametrize("read_first", [False, True])
async def test_leaving_early_hangs_up_at_once(transport: Transport, read_first: bool):
    hung_up = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"5\r\nhello\r\n")
        while await reader.read(1 << 16):
            pass
        hung_up.set()

    server, url = await listening(serve)
    with await transport.post(url, {}, b"{}", "p", stream=True) as answering:
        chunks = answering.chunks()
        if read_first:
            assert await anext(chunks) == b"hello"
        await chunks.aclose()
    async with asyncio.timeout(1):
        await hung_up.wait()
    server.close()
    gc.collect()


async def test_an_answer_before_the_end_of_a_large_request_does_not_wait_for_it(transport: Transport):
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\nno")
        while await reader.read(1 << 16):  # noqa: ASYNC110 - it reads between its pauses
            await asyncio.sleep(0.01)  # slower than the request

    server, url = await listening(serve)
    async with asyncio.timeout(1):
        with await transport.post(url, {}, b"x" * (16 << 20), "p", stream=True) as answering:
            assert (answering.status, await answering.body()) == (413, b"no")
    server.close()


async def test_a_connection_is_used_again_after_a_whole_answer_and_not_after_half_of_one(transport: Transport):
    connections = 0

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(2)
            writer.write(HEAD + b"content-length: 5\r\n\r\nhello")
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
    for _ in range(3):
        with await transport.post(url, {}, b"{}", "p", stream=True) as answering:
            assert await answering.body() == b"hello"
    assert connections == 1
    server.close()


async def test_a_small_document_comes_with_its_servers_name(transport: Transport):
    server, url = await listening(sending(b"HTTP/1.1 200 OK\r\nserver: s\r\ncontent-length: 2\r\n\r\nhi"))
    assert await transport.get(url, {}, "p", patience=1) == (200, b"hi", "s")
    server.close()


async def test_a_small_document_is_not_waited_for_too_long(transport: Transport):
    for sent in (b"", CHUNKED):

        async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes = sent) -> None:
            writer.write(sent)
            await reader.read()

        server, url = await listening(hold)
        with pytest.raises(ProviderUnavailable) as failure:
            await transport.get(url, {}, "p", patience=0.03)
        assert failure.value.metadata["cause"] == "timeout"
        server.close()


async def test_a_whole_answer_may_take_longer_to_begin_than_a_stream():
    async def late(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(HEAD + b"connection: close\r\ncontent-length: 4\r\n\r\ndone")
        await writer.drain()

    server, url = await listening(late)
    hasty = Transport(replace(LIMITS, connect=0.05, first_token=0.05))
    with await hasty.post(url, {}, b"{}", "p", stream=False) as answering:
        assert await answering.body() == b"done"
    with pytest.raises(ProviderUnavailable) as failure, await hasty.post(url, {}, b"{}", "p", stream=True):
        pass
    assert failure.value.metadata["cause"] == "first_token_timeout"
    await hasty.close()
    await asyncio.sleep(0.2)  # until the server has noticed
    server.close()
