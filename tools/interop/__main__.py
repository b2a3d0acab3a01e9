"""python -m tools.interop: llama-cpp-python's server with a tiny model of random weights, asked through the mesh.

Chat, stream, cancel and usage, as `qwen-local`. The server is built once, into an environment of its own under the
user's cache; where that cannot be done, one line says so.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import venv
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from omnisphere_client import AsyncClient
from services.chassis.logs import Log
from services.chassis.settings import environment
from services.together.one_process import OneProcess, load

_PACKAGES = ("llama-cpp-python[server]", "gguf")
_READY_SECONDS = 60.0
_QUESTION = "Say something, whatever it is."


class CannotBuild(Exception):
    """The server is not to be had here; the text says why."""


def _server_python(base: Mapping[str, str]) -> Path:
    """The interpreter of the environment with the server; built on the first call, for minutes."""
    cache = Path(base.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "omnisphere" / "interop"
    python = cache / "bin" / "python"
    if not python.exists():
        print(f"building {_PACKAGES[0]} in {cache}, once; this takes minutes")
        venv.create(cache, with_pip=True)
    has = subprocess.run([python, "-c", "import llama_cpp.server, gguf"], capture_output=True, check=False)
    if has.returncode:
        made = subprocess.run([python, "-m", "pip", "install", "--quiet", *_PACKAGES], capture_output=True, check=False)
        if made.returncode:
            raise CannotBuild("llama-cpp-python cannot be installed here (it needs cmake's wheel and a C++ compiler)")
    return python


@contextmanager
def _served(python: Path, folder: Path) -> Iterator[int]:
    """The port of the running server."""
    model = folder / "tiny.gguf"
    subprocess.run([python, Path(__file__).with_name("tiny_model.py"), model], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with (folder / "server.log").open("wb") as log:
        command = [python, "-m", "llama_cpp.server", "--model", model, "--host", "127.0.0.1", "--port", str(port)]
        server = subprocess.Popen([*map(str, command), "--n_ctx", "2048"], stdout=log, stderr=log)
        try:
            _wait(port, server)
            yield port
        finally:
            server.terminate()
            server.wait(timeout=20)


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + _READY_SECONDS
    while time.monotonic() < ends and server.poll() is None:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=2).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise CannotBuild("the server does not start")


async def _checks(port: int, folder: Path, base: Mapping[str, str]) -> None:
    config = folder / "providers.toml"
    config.write_text(
        f'[[endpoint]]\nname = "llama.cpp"\nbase_url = "http://127.0.0.1:{port}/v1"\n'
        'quirks = ["system_role_only"]\nserves = { "qwen3-8b" = "tiny" }\n'
    )
    kept = {name: value for name, value in base.items() if not name.startswith("OMNISPHERE_")}
    settings = load(
        {
            **{name: value for name, value in kept.items() if not name.endswith("_API_KEY")},
            "OMNISPHERE_STATE": str(folder),
            "OMNISPHERE_SIMULATOR": "off",
            "OMNISPHERE_DISCOVER": "off",
            "OMNISPHERE_PROVIDERS_CONFIG": str(config),
            **{f"OMNISPHERE_ROUTER_{name}": "0" for name in ("PORT", "METRICS_PORT", "HTTP_PORT")},
        }
    )
    with (folder / "mesh.log").open("w") as out:
        mesh = OneProcess(settings, Log("omnisphere", stream=out))
        await mesh.start()
        try:
            async with AsyncClient(f"127.0.0.1:{mesh.port}") as client:
                await _chat(client, port)
                await _stream(client)
                await _cancel(client)
        finally:
            await mesh.stop()


async def _chat(client: AsyncClient, port: int) -> None:
    """The same tokens as the server itself reports."""
    answer = await client.complete(_QUESTION, model="qwen-local", max_output_tokens=16, seed=1)
    usage = answer.usage
    direct = await asyncio.to_thread(_directly, port)
    assert usage.input_tokens == direct["prompt_tokens"], (usage, direct)
    assert 0 < usage.output_tokens <= 16, usage
    assert not usage.estimated
    print(f"chat: {usage.input_tokens} tokens in, {usage.output_tokens} out, as the server counts them")


async def _stream(client: AsyncClient) -> None:
    async with client.stream(_QUESTION, model="qwen-local", max_output_tokens=64) as stream:
        pieces = [piece async for piece in stream.texts()]
        answer = await stream.result()
    assert "".join(pieces) == answer.text
    assert len(pieces) > 1
    print(f"stream: {len(pieces)} pieces; usage {'estimated here' if answer.usage.estimated else 'reported'}")


async def _cancel(client: AsyncClient) -> None:
    """The server answers one request at a time: if the first were not given up, the second would wait for its end."""
    async with client.stream(_QUESTION, model="qwen-local", max_output_tokens=1_900) as stream:
        async for _ in stream.texts():
            break
    started = time.monotonic()
    await client.complete("Still there?", model="qwen-local", max_output_tokens=4)
    print(f"cancel: the next answer came after {time.monotonic() - started:.1f} s")


def _directly(port: int) -> dict[str, int]:
    body = {"messages": [{"role": "user", "content": _QUESTION}], "max_tokens": 16, "seed": 1}
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as response:
        usage: dict[str, int] = json.loads(response.read())["usage"]
    return usage


def main() -> None:
    """Build, serve, ask."""
    base = environment()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            with _served(_server_python(base), Path(folder)) as port:
                asyncio.run(_checks(port, Path(folder), base))
        except CannotBuild as failure:
            print(f"interop skipped: {failure}")
            sys.exit(0)
    print("a foreign server, asked through the mesh: all well")


if __name__ == "__main__":
    main()
