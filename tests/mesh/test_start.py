"""Every service starts alone, is ready with every peer absent, and says in one line what keeps it from starting."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.mesh.harness import environment

SERVICES = ["router", "cache", "context", "providers"]
pytestmark = pytest.mark.slow


async def _start(name: str, state: Path, **more: str) -> asyncio.subprocess.Process:
    prefix = f"OMNISPHERE_{name.upper()}"
    absent = {f"OMNISPHERE_ROUTER_{peer}": "127.0.0.1:1" for peer in ("CACHE", "CONTEXT", "PROVIDERS")}
    alone = {"OMNISPHERE_SIMULATOR": "auto", "OMNISPHERE_DISCOVER": "off"}
    alone |= {"OMNISPHERE_SIMULATOR_URL": "http://127.0.0.1:1"}
    ports = {f"{prefix}_PORT": "0", f"{prefix}_METRICS_PORT": "-1"}
    environ = environment(state, **{**ports, **absent, **alone, **more})
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"services.{name}", env=environ, stdout=pipe, stderr=pipe
    )


@pytest.mark.parametrize("name", SERVICES)
async def test_a_service_is_healthy_with_every_peer_absent(name: str, state: Path) -> None:
    process = await _start(name, state)
    assert process.stdout is not None
    ready: dict[str, object] = {}
    while ready.get("event") != "ready":
        ready = json.loads(await process.stdout.readline())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{ready['port']}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "readiness", "liveness"):
            response = await health.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
            assert response.status == health_pb2.HealthCheckResponse.SERVING
    process.terminate()
    await process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize("name", SERVICES)
async def test_a_port_in_use_is_one_line_and_an_exit_code(name: str, state: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = await _start(name, state, **{f"OMNISPHERE_{name.upper()}_PORT": port})
        _, said = await asyncio.wait_for(process.communicate(), timeout=5)
    assert process.returncode == 2
    assert said.decode() == f"{name}: port 127.0.0.1:{port} cannot be opened: Address already in use\n"


async def test_a_bad_file_is_named_with_key_and_problem_and_no_secret(state: Path) -> None:
    config = state / "providers.toml"
    config.write_text('[[endpoint]]\nname = "mine"\nbase_urll = "https://x"\nkey = "sk-very-secret"\n')
    process = await _start("providers", state, OMNISPHERE_PROVIDERS_CONFIG=str(config))
    _, said = await asyncio.wait_for(process.communicate(), timeout=5)
    assert process.returncode == 2
    lines = said.decode().splitlines()
    assert len(lines) == 4
    assert lines[0].startswith(f"providers: {config}.endpoint[0].base_urll: is not known")
    assert "sk-very-secret" not in said.decode()


async def test_a_bad_policy_file_is_named_by_the_router(state: Path) -> None:
    routes = state / "routes.toml"
    routes.write_text(
        '[policy.mine]\nstrategy = "oracle"\nreference_model = "m"\ndefault_task = "t"\n[policy.mine.tasks]\n'
    )
    known = "auto, rule, semantic, cost_aware, cascade, fixed, split"
    process = await _start("router", state, OMNISPHERE_ROUTER_ROUTES=str(routes))
    _, said = await asyncio.wait_for(process.communicate(), timeout=5)
    assert process.returncode == 2
    assert said.decode() == f"router: {routes}.policy.mine.strategy: must be one of {known}\n"


async def test_where_simulated_models_are_off_providers_are_alive_but_not_ready_without_an_endpoint(
    state: Path,
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = await _start("providers", state, OMNISPHERE_PROVIDERS_PORT=str(port), OMNISPHERE_SIMULATOR="off")
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        said = {}
        for name in ("liveness", "readiness", "omnisphere.providers.v1.ProvidersService"):
            request = health_pb2.HealthCheckRequest(service=name)
            said[name] = (await health.Check(request, timeout=5, wait_for_ready=True)).status
    process.terminate()
    await process.communicate()
    assert process.returncode == 0, "asked to stop before it was ready, it ends as it does later"
    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    assert list(said.values()) == [serving, not_serving, not_serving]
