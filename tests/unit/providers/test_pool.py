"""Connections are used again where that is safe, and only there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from services.providers.pool import Pool

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Server:
    """Answers each request with the next script; counts its connections."""

    def __init__(self) -> None:
        self.scripts: list[list[bytes]] = []
        self.connections = 0
        self.requests: list[bytes] = []
        self.pause = 0.01
        self.asked = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def stop(self) -> None:
        assert self._server is not None
        self._server.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.scripts:
                head = await reader.readuntil(b"\r\n\r\n")
                (length,) = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")]
                self.requests.append(head + await reader.readexactly(int(length.partition(b":")[2])))
                self.asked.set()
                for piece in self.scripts.pop(0):
                    if piece == b"":
                        return
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(self.pause)
            await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    yield made
    made.stop()


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    made = Pool()
    yield made
    await made.aclose()


async def ask(pool: Pool, url: str, body: bytes = b"{}", *, read: float = 5.0) -> httpx.Response:
    request = httpx.Request("POST", url, content=body, extensions={"timeout": {"connect": 5.0, "read": read}})
    response = await pool.handle_async_request(request)
    content = b"".join([piece async for piece in response.stream])  # type: ignore[union-attr]
    await response.aclose()
    return httpx.Response(response.status_code, headers=response.headers, content=content)


async def test_a_connection_is_used_again(server: Server, pool: Pool):
    url = await server.start()
    server.scripts = [[OK], [OK], [OK]]
    for _ in range(3):
        assert (await ask(pool, url)).content == b"ok"
    assert server.connections == 1


async def test_each_concurrent_request_has_a_connection_of_its_own(server: Server, pool: Pool):
    url = await server.start()
    server.scripts = [[OK], [OK], [OK]]
    await asyncio.gather(*(ask(pool, url) for _ in range(3)))
    assert server.connections == 3


@pytest.mark.parametrize(
    "last",
    [
        [b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", b""],
        [b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", b""],
        [b"HTTP/1.1 200 OK\r\n\r\nok", b""],
        [OK, b""],
        [OK + b"more than was asked for"],
    ],
    ids=["close", "http/1.0", "until its end", "hung up while idle", "unasked bytes"],
)
async def test_a_connection_that_is_over_is_not_used_again(server: Server, pool: Pool, last: list[bytes]):
    url = await server.start()
    server.scripts = [last, [OK]]
    assert (await ask(pool, url)).content == b"ok"
    await asyncio.sleep(0.05)
    assert (await ask(pool, url)).content == b"ok"
    assert server.connections == 2


async def test_a_body_that_was_left_is_hung_up_on_and_its_connection_not_used_again(server: Server, pool: Pool):
    url = await server.start()
    server.scripts = [[b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart", b"more"], [OK]]
    request = httpx.Request("POST", url, content=b"", extensions={"timeout": {"connect": 5.0, "read": 5.0}})
    response = await pool.handle_async_request(request)
    await response.stream.aclose()  # type: ignore[union-attr]
    assert (await ask(pool, url)).content == b"ok"
    assert server.connections == 2


@pytest.mark.parametrize("size", [1, 3, 7, 1000])
async def test_an_answer_reads_the_same_however_it_is_cut(server: Server, pool: Pool, size: int):
    url = await server.start()
    server.pause = 0
    answer = (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nx-a: b\r\n\r\n"
        b"5\r\nhello\r\n6;extension=1\r\n world\r\n0\r\n\r\n"
    )
    server.scripts = [[answer[at : at + size] for at in range(0, len(answer), size)], [OK]]
    response = await ask(pool, url)
    assert (response.status_code, response.content, response.headers["x-a"]) == (200, b"hello world", "b")
    assert (await ask(pool, url)).content == b"ok"
    assert server.connections == 1


async def test_the_request_arrives_as_it_was_meant(server: Server, pool: Pool):
    url = await server.start()
    server.scripts = [[OK]]
    await ask(pool, url + "/v1/chat?x=1", b'{"a": 1}')
    (request,) = server.requests
    assert request.startswith(b"POST /v1/chat?x=1 HTTP/1.1\r\n")
    assert request.endswith(b'\r\n\r\n{"a": 1}')
    assert b"host: 127.0.0.1" in request.lower()


async def test_a_large_body_goes_through_both_ways(server: Server, pool: Pool):
    url = await server.start()
    large = b"x" * (8 << 20)
    server.scripts = [[b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(large), large]]
    response = await ask(pool, url, large)
    assert response.content == large
    assert server.requests[0].endswith(large)


async def test_silence_is_a_time_out_and_the_connection_is_gone(server: Server, pool: Pool):
    url = await server.start()
    server.pause = 0.3
    server.scripts = [[b"HTTP/1.1 200 OK\r\n", b"content-length: 2\r\n\r\nok"], [OK]]
    with pytest.raises(httpx.ReadTimeout):
        await ask(pool, url, read=0.05)
    assert (await ask(pool, url, read=5.0)).content == b"ok"
    assert server.connections == 2


async def test_closing_the_pool_ends_what_is_under_way(server: Server):
    url = await server.start()
    server.pause = 5
    server.scripts = [[b"HTTP/1.1 200 OK\r\n", OK]]
    pool = Pool()
    asked = asyncio.create_task(ask(pool, url))
    await server.asked.wait()
    await pool.aclose()
    with pytest.raises(httpx.ReadError):
        await asked
