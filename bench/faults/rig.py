"""A real mesh before two upstreams: the first misbehaves, the second is good. Every scenario has endpoints of its own.

With `models` the second upstream serves another model, which the policy names as the fallback; with `endpoints` both
serve the same model.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import grpc

from services.chassis.client import open_channel
from services.simulator.server import Simulator
from services.simulator.settings import SimulatorSettings
from services.together.four_processes import FourProcesses

_ROUTER = "omnisphere.router.v1.RouterService"
Topology = Literal["models", "endpoints"]
FIRST_MODEL, SECOND_MODEL = "gpt-5-nano", "gpt-5-mini"
_WINDOWS = {FIRST_MODEL: 100_000, SECOND_MODEL: 200_000}
_LIMITS = {
    "OMNISPHERE_PROVIDERS_FIRST_TOKEN_TIMEOUT": "2s",
    "OMNISPHERE_PROVIDERS_IDLE_TIMEOUT": "2s",
    "OMNISPHERE_PROVIDERS_WHOLE_ANSWER_TIMEOUT": "4s",
}


@dataclass(frozen=True, slots=True)
class Rig:
    """What a scenario is played on."""

    channel: grpc.aio.Channel
    first: Simulator
    second: Simulator
    ledger: Path
    topology: Topology


def second_model(topology: Topology) -> str:
    """The model that the second upstream serves."""
    return SECOND_MODEL if topology == "models" else FIRST_MODEL


@asynccontextmanager
async def up(
    names: Sequence[str], topology: Topology, upstream: str, environ: Mapping[str, str], folder: Path
) -> AsyncIterator[Rig]:
    """Two upstreams and four processes. `names` are those of scenarios in a mode; `upstream`: a foreign first one."""
    first, second = Simulator(), Simulator()
    for simulator in (first, second):
        await simulator.start(SimulatorSettings(port=0, latency_scale=0.0))
    config, routes = folder / "providers.toml", folder / "routes.toml"
    config.write_text("".join(_endpoints(name, topology, upstream, first, second) for name in names))
    routes.write_text("".join(_policy(name, topology) for name in names))
    mesh = FourProcesses(_environment(environ, folder, config, routes), logs=folder / "logs", simulator=False)
    await mesh.start()
    channel = open_channel(f"127.0.0.1:{mesh.services['router'].port}", health_name=_ROUTER, retries=False)
    try:
        yield Rig(channel, first, second, folder / "ledger" / "attempts.sqlite3", topology)
    finally:
        await channel.close()
        await mesh.stop()
        await first.stop()
        await second.stop()


def _environment(environ: Mapping[str, str], folder: Path, config: Path, routes: Path) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if not name.startswith("OMNISPHERE_")}
    return {
        **{name: value for name, value in kept.items() if not name.endswith("_API_KEY")},
        "OMNISPHERE_STATE": str(folder),
        "OMNISPHERE_SIMULATOR": "off",
        "OMNISPHERE_DISCOVER": "off",
        "OMNISPHERE_PROVIDERS_CONFIG": str(config),
        "OMNISPHERE_ROUTER_ROUTES": str(routes),
        "OMNISPHERE_ROUTER_DRAIN": "0s",
        **_LIMITS,
    }


def _endpoints(name: str, topology: Topology, upstream: str, first: Simulator, second: Simulator) -> str:
    scenario = name.partition("-")[0]
    bad = upstream.replace("{scenario}", scenario) if upstream else f"http://127.0.0.1:{first.port}/v1"
    good = f"http://127.0.0.1:{second.port}/v1"
    models = {name: FIRST_MODEL} if topology == "endpoints" else {name: FIRST_MODEL, f"{name}-fallback": SECOND_MODEL}
    second_id = list(models)[-1]
    return (
        f'[[endpoint]]\nname = "{name}-first"\nbase_url = "{bad}"\nserves = {{ "{name}" = "{FIRST_MODEL}" }}\n'
        f'[[endpoint]]\nname = "{name}-second"\nbase_url = "{good}"\npriority = 1\n'
        f'serves = {{ "{second_id}" = "{second_model(topology)}" }}\n'
        + "".join(_model(model, served, first) for model, served in models.items())
    )


def _model(name: str, served: str, simulator: Simulator) -> str:
    """A model with the price that the upstream's books use."""
    price = simulator.fleet[served].price
    return (
        f'[[model]]\nid = "{name}"\nvendor = "bench"\ntier = "medium"\nwindow_tokens = {_WINDOWS[served]}\n'
        f"max_output_tokens = 4096\n"
        f'price = {{ input_usd_per_mtok = "{price.input}", output_usd_per_mtok = "{price.output}" }}\n'
    )


def _policy(name: str, topology: Topology) -> str:
    fallback = f', fallback = "{name}-fallback"' if topology == "models" else ""
    return (
        f'[policy."{name}"]\nstrategy = "rule"\nreference_model = "{name}"\ndefault_task = "simple_qa"\n'
        f'[policy."{name}".tasks]\nsimple_qa = {{ primary = "{name}"{fallback} }}\n'
    )
