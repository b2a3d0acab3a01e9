"""Servers behind a proxy and servers whose authority is the operator's own are reached, and nobody else is believed."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from services.chassis.errors import ProviderUnavailable
from services.providers.transport import Transport
from services.providers.via import STRAIGHT, Via
from tests.unit.providers.conftest import PATIENT

OPENSSL = shutil.which("openssl")
needs_openssl = pytest.mark.skipif(OPENSSL is None, reason="openssl is not here (apt-get install openssl)")
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


@dataclass
class Server:
    """Answers each request on a connection with ANSWER. `heads` are those that it was sent."""

    port: int = 0
    connections: int = 0
    heads: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(ANSWER)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@dataclass
class Proxy:
    """Opens tunnels for those with the right password; the same for every host: to one server."""

    target: int
    port: int = 0
    asked: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.asked.append(head.partition(b"\r\n")[0])
        if b"proxy-authorization: Basic dXNlcjpwQHNz\r\n" not in head:  # user:p@ss
            writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            writer.close()
            return
        other_reader, other_writer = await asyncio.open_connection("127.0.0.1", self.target)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(_pipe(reader, other_writer), _pipe(other_reader, writer), return_exceptions=True)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


@pytest_asyncio.fixture
async def transport() -> AsyncIterator[Transport]:
    made = Transport(PATIENT)
    yield made
    await made.close()


async def _listening(serve, **more) -> tuple[asyncio.Server, int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, **more)
    return server, server.sockets[0].getsockname()[1]


async def _asked(transport: Transport, url: str, via: Via) -> bytes:
    with await transport.post(url, {}, b"{}", "p", stream=False, via=via) as answering:
        return await answering.body()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(certificate, key) of localhost, signed by itself."""
    folder = tmp_path_factory.mktemp("tls")
    made = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *(
                OPENSSL or "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-out", str(made[0]), "-keyout", str(made[1])),
        ],
        check=True,
        capture_output=True,
    )
    return made


def _tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


async def test_a_proxy_is_asked_for_a_tunnel_and_the_connection_is_kept(transport: Transport):
    target = Server()
    listening, target.port = await _listening(target.serve)
    proxy = Proxy(target.port)
    proxying, proxy.port = await _listening(proxy.serve)
    via = Via(f"http://user:p%40ss@127.0.0.1:{proxy.port}")
    for _ in range(3):
        assert await _asked(transport, "http://models.example:81/v1", via) == b"hello"
    assert proxy.asked == [b"CONNECT models.example:81 HTTP/1.1"]
    assert target.connections == 1
    assert all(b"proxy-authorization" not in head for head in target.heads)
    listening.close()
    proxying.close()


async def test_a_proxy_that_refuses_is_named_and_its_password_is_not(transport: Transport):
    proxy = Proxy(0)
    proxying, proxy.port = await _listening(proxy.serve)
    via = Via(f"http://user:wrong@127.0.0.1:{proxy.port}")
    with pytest.raises(ProviderUnavailable) as refused:
        await _asked(transport, "http://models.example/v1", via)
    assert refused.value.metadata["cause"] == "proxy"
    assert "wrong" not in f"{via!r} {via} {refused.value.metadata}"
    proxying.close()


@needs_openssl
@pytest.mark.parametrize("tunnelled", [False, True])
async def test_the_operators_own_authority_is_believed_for_its_endpoint_alone(
    transport: Transport, certificate: tuple[Path, Path], tunnelled: bool
):
    target = Server()
    listening, target.port = await _listening(target.serve, ssl=_tls(certificate))
    proxy = Proxy(target.port)
    proxying, proxy.port = await _listening(proxy.serve)
    url = f"https://localhost:{target.port}/v1"
    own = Via(f"http://user:p%40ss@127.0.0.1:{proxy.port}" if tunnelled else "", str(certificate[0]))
    for _ in range(2):
        assert await _asked(transport, url, own) == b"hello"
    assert target.connections == 1
    for via, where in ((STRAIGHT, url), (own, url.replace("localhost", "127.0.0.1"))):
        with pytest.raises(ProviderUnavailable) as refused:
            await _asked(transport, where, via)
        assert refused.value.metadata["cause"] == "connect"
    listening.close()
    proxying.close()


@pytest.mark.parametrize("wrong", ["proxy:3128", "https://proxy:3128", "socks5://proxy:1080", "http://"])
def test_what_is_no_proxy_is_refused(wrong: str):
    with pytest.raises(ValueError, match="proxy must be http://host:port"):
        Via(wrong)
