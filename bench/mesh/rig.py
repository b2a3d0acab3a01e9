"""Everything that one run compares, up at once: the upstreams, Omnisphere in its forms, and the echoes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.mesh import ours, upstream, verify
from bench.mesh.ours import Running
from bench.mesh.processes import Servers
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb


@dataclass(frozen=True, slots=True)
class Rig:
    """`bare` is one process without ledger and logs. `mesh` is four processes, `providers` one of them. `constant` and
    `exchange` are the floors of that one: our server alone, and with the bytes of the exchange. `echo2` is an echo
    behind an echo."""

    paced: Running
    one_process: Running
    bare: Running
    mesh: Running
    providers: Running
    constant: Running
    exchange: Running
    echo: Running
    echo2: Running


@dataclass(frozen=True, slots=True)
class Upstreams:
    """One answers at once, `paced` sends its tokens one by one; the configuration knows both."""

    at_once: Running
    paced: Running
    config: Path


def upstreams(servers: Servers, source: Path, base: Mapping[str, str]) -> Upstreams:
    """Start both."""
    quick = upstream.start(servers, source, base)
    paced = upstream.start(servers, source, base, gap_ms=upstream.GAP_MS)
    relayed = upstream.start(servers, source, base, gap_ms=upstream.RELAY_GAP_MS)
    config = upstream.providers_toml(servers.folder, quick.port, paced.port, relayed.port)
    at_once, one_by_one = (Running(server.port, server.port, (server.process.pid,)) for server in (quick, paced))
    return Upstreams(at_once, one_by_one, config)


def one_process(servers: Servers, base: Mapping[str, str], behind: Upstreams, name: str, **more: str) -> Running:
    """Omnisphere in one process, with files of its own."""
    folder = servers.folder / name
    folder.mkdir(exist_ok=True)
    return ours.one_process(servers, ours.environment(base, folder, behind.config, **more))


@asynccontextmanager
async def everything(servers: Servers, base: Mapping[str, str], behind: Upstreams) -> AsyncIterator[Rig]:
    """Start all of it. The echo's answer is one that Omnisphere gave from its cache."""
    one = one_process(servers, base, behind, "one")
    bare = one_process(servers, base, behind, "bare", **ours.BARE)
    answer = servers.folder / "answer.bin"
    answer.write_bytes(verify.hit(one.port, ours.question()).SerializeToString())
    # gRPC as it comes: what our services ask of it is theirs.
    plain = {name: value for name, value in base.items() if name != "GRPC_EXPERIMENTS"}
    echo = servers.python("bench.mesh.echo", "--answer", str(answer), "--tokens", str(upstream.TOKENS), environ=plain)
    front = servers.python("bench.mesh.echo", "--behind", f"127.0.0.1:{echo.port}", environ=plain)
    folder = servers.folder / "mesh"
    folder.mkdir()
    async with ours.four_processes(ours.environment(base, folder, behind.config), folder) as (mesh, providers):
        asked = providers_pb.GenerateRequest(generation=ours.generation(upstream.MODEL))
        generated = servers.folder / "generated.bin"
        generated.write_bytes(verify.generate(providers.port, asked).SerializeToString())
        floor = ("bench.mesh.floor", "--answer", str(generated))
        constant = servers.python(*floor, environ=base)
        exchange = servers.python(*floor, "--upstream", str(behind.at_once.port), environ=base)
        yield Rig(
            paced=behind.paced,
            one_process=one,
            bare=bare,
            mesh=mesh,
            providers=providers,
            constant=Running(constant.port, 0, (constant.process.pid,)),
            exchange=Running(exchange.port, 0, (exchange.process.pid,)),
            echo=Running(echo.port, 0, (echo.process.pid,)),
            echo2=Running(front.port, 0, (front.process.pid, echo.process.pid)),
        )
