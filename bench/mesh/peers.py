"""Other gateways in front of the same upstream: each installed into an environment of its own, started on loopback.

One worker each, their logs as quiet as their settings allow, no database behind them.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.mesh import ours, verify
from bench.mesh.load import JSON_HEADERS, Target, windows
from bench.mesh.ours import Running
from bench.mesh.paths import AT_ONCE, CHAT, Row, Size, edge_target
from bench.mesh.processes import BenchError, Servers, Started, family, resident_mb, said
from bench.mesh.upstream import NAME_THERE, free_port

_INSTALL_SECONDS, _START_SECONDS, _LOOK_SECONDS = 900, 120.0, 0.1
# TensorZero's gateway comes to PyPI inside its client, which serves it on a port of its own choosing.
_TENSORZERO = """
import sys, time, tensorzero
gateway = tensorzero._start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
print("listening on", gateway.base_url.split(":")[2].split("/")[0], flush=True)
while True:
    time.sleep(3600)
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gateway is installed, where its files go, which upstream it asks, and the environment it gets."""

    home: Path
    files: Path
    upstream: int
    environ: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Peer:
    """One gateway. `start` returns a server whose port is known, but which need not answer yet."""

    name: str
    package: str
    install: Callable[[Path, str], Sequence[Sequence[str]]]
    start: Callable[[Servers, Place], Started]
    version: str  # where the installed version stands: a pattern of paths, or a package.json
    model: str = NAME_THERE
    route: str = CHAT
    headers: Callable[[int], tuple[str, ...]] = lambda _upstream: JSON_HEADERS


def measured(
    servers: Servers, base: Mapping[str, str], home: Path, edge: Running, upstream: Running, size: Size
) -> Iterator[Row | str]:
    """The rows of every gateway that runs, each beside our edge; a line for every one, or why it was skipped."""
    for peer in PEERS:
        began = len(servers.started)
        try:
            environ = _environment(base)
            place = Place(home / peer.name, servers.folder, upstream.port, environ)
            _installed(peer, place)
            target, seconds = _started(peer, servers, place)
            yield f"{peer.name} {_version(peer, place.home)}: first answer after {seconds:.1f} s"
            mine = edge_target("omnisphere", edge, cached=False)
            for at_once in AT_ONCE:
                both = [mine, target]
                yield from windows(f"peer:{peer.name}", both, at_once=at_once, seconds=size.seconds, rounds=size.rounds)
            yield {
                "target": peer.name,
                "path": "peer_start",
                "start_s": round(seconds, 1),
                "rss_loaded_mb": resident_mb(target.pids),
            }
        except (BenchError, OSError, subprocess.SubprocessError) as failure:
            yield f"{peer.name} skipped: {' '.join(str(failure).split())[:300]}"
        servers.stop(began)


def _environment(base: Mapping[str, str]) -> dict[str, str]:
    """Without what is ours, without keys of real providers, and past any proxy to the upstream."""
    ours_ = ("OMNISPHERE_", "VIRTUAL_ENV", "PYTHONPATH")
    loopback = {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}
    kept = {name: value for name, value in base.items() if not name.startswith(ours_) and not name.endswith("_API_KEY")}
    return kept | loopback


def _installed(peer: Peer, place: Place) -> None:
    """Once: a file says that it was done."""
    done = place.home / ".installed"
    if done.exists():
        return
    place.home.mkdir(parents=True, exist_ok=True)
    for command in peer.install(place.home, peer.package):
        if shutil.which(command[0]) is None:
            raise BenchError(f"{command[0]} is not installed")
        ran = subprocess.run(
            command,
            cwd=place.home,
            env=place.environ,
            capture_output=True,
            text=True,
            timeout=_INSTALL_SECONDS,
            check=False,
        )
        if ran.returncode:
            raise BenchError(f"{' '.join(command[-3:])} failed: {(ran.stderr or ran.stdout)[-200:]}")
    done.touch()


def _started(peer: Peer, servers: Servers, place: Place) -> tuple[Target, float]:
    """Up and verified, and the seconds until then."""
    began = time.monotonic()
    server = peer.start(servers, place)
    body, headers = ours.chat_body(peer.model), peer.headers(place.upstream)
    while True:
        try:
            length, _ = verify.chat(server.port, peer.route, headers, body)
            break
        except BenchError:
            if server.process.poll() is not None or time.monotonic() - began > _START_SECONDS:
                raise
        time.sleep(_LOOK_SECONDS)
    seconds = time.monotonic() - began
    pids = family(server.process.pid)
    return Target(peer.name, server.port, peer.route, body, pids, length, headers, http1=True), seconds


def _version(peer: Peer, home: Path) -> str:
    for path in home.glob(peer.version):
        if path.name == "package.json":
            return str(json.loads(path.read_text())["version"])
        return path.name.removesuffix(".dist-info").partition("-")[2]
    return "of an unknown version"


def _pip(home: Path, package: str) -> Sequence[Sequence[str]]:
    pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package]
    return [sys.executable, "-m", "venv", str(home)], pip


def _npm(home: Path, package: str) -> Sequence[Sequence[str]]:
    return (["npm", "install", "--prefix", str(home), "--no-audit", "--no-fund", "--silent", package],)


def _litellm(servers: Servers, place: Place) -> Started:
    config = place.files / "litellm.yaml"
    # A model whose price it knows: of an unknown one it would look for it on every call.
    config.write_text(
        f"model_list:\n  - model_name: {NAME_THERE}\n    litellm_params:\n      model: openai/gpt-4o-mini\n"
        f"      api_base: http://127.0.0.1:{place.upstream}/v1\n      api_key: none\n"
    )
    quiet = {"LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION", "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    keyless = {"LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true"}
    port = free_port()
    command = [str(place.home / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1"]
    server = servers.start(
        [*command, "--port", str(port), "--num_workers", "1", "--telemetry", "False"],
        {**place.environ, **quiet, **keyless},
    )
    server.port = port
    return server


def _portkey(servers: Servers, place: Place) -> Started:
    port = free_port()
    script = place.home / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    server = servers.start(
        ["node", str(script), "--headless", f"--port={port}"],
        {**place.environ, "NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"},
    )
    server.port = port
    return server


def _portkey_headers(upstream: int) -> tuple[str, ...]:
    where = f"x-portkey-custom-host: http://127.0.0.1:{upstream}/v1"
    return (*JSON_HEADERS, "x-portkey-provider: openai", where, "authorization: Bearer none")


def _tensorzero(servers: Servers, place: Place) -> Started:
    config = place.files / "tensorzero.toml"
    config.write_text(
        "[gateway]\nobservability.enabled = false\ndisable_pseudonymous_usage_analytics = true\n"
        f'[models.{NAME_THERE}]\nrouting = ["upstream"]\n[models.{NAME_THERE}.providers.upstream]\n'
        f'type = "openai"\nmodel_name = "{NAME_THERE}"\napi_base = "http://127.0.0.1:{place.upstream}/v1/"\n'
        'api_key_location = "none"\n'
    )
    python = str(place.home / "bin" / "python")
    server = servers.start([python, "-c", _TENSORZERO, str(config)], place.environ)
    server.port = int(said(server, re.compile(r"listening on (\d+)")))
    return server


PEERS = (
    Peer("litellm", "litellm[proxy]", _pip, _litellm, "lib/python3*/site-packages/litellm-*.dist-info"),
    Peer(
        "portkey",
        "@portkey-ai/gateway",
        _npm,
        _portkey,
        "node_modules/@portkey-ai/gateway/package.json",
        headers=_portkey_headers,
    ),
    Peer(
        "tensorzero",
        "tensorzero",
        _pip,
        _tensorzero,
        "lib/python3*/site-packages/tensorzero-*.dist-info",
        model=f"tensorzero::model_name::{NAME_THERE}",
        route="/openai/v1/chat/completions",
    ),
)
