"""A model with several keys at several endpoints: what fails at one is made good at another, and is seen to be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import ProviderRateLimited
from services.chassis.logs import Log
from services.simulator.faults import read_fault
from services.simulator.server import Simulator
from services.simulator.settings import SimulatorSettings
from services.together.one_process import OneProcess, load
from tests.mesh.harness import Mesh, asking, connected_to, environment

CANARIES = {"EAST_API_KEY": "sk-canary-e1", "EAST_API_KEY_2": "sk-canary-e2", "WEST_API_KEY": "sk-canary-w1"}
# As shipped: a mesh of its own may remember what went wrong.
DEFAULTS = ("ATTEMPTS", "LONGEST_REST", "BREAKER_FAILURES")
CONFIG = """
[[endpoint]]
name = "east"
base_url = "http://127.0.0.1:{east}/v1"
key_variable = "EAST_API_KEY"
serves = {{ "mine" = "gpt-5-mini" }}

[[endpoint]]
name = "west"
base_url = "http://127.0.0.1:{west}/v1"
key_variable = "WEST_API_KEY"
priority = 1
serves = {{ "mine" = "gpt-5-mini" }}

[[model]]
id = "mine"
vendor = "us"
tier = "medium"
window_tokens = 200000
max_output_tokens = 4096
price = {{ input_usd_per_mtok = "0.25", output_usd_per_mtok = "2", reasoning_usd_per_mtok = "3" }}
"""


@dataclass
class Coasts:
    """A mesh whose one model is served on two coasts."""

    mesh: Mesh
    east: Simulator
    west: Simulator
    log: Path

    async def ask(self, text: str, **more: Any) -> Any:
        return await self.mesh.complete(text, model="mine", **more)


@pytest.fixture
async def coasts(state: Path) -> AsyncIterator[Coasts]:
    east, west = Simulator(), Simulator()
    for simulator in (east, west):
        await simulator.start(SimulatorSettings(port=0, latency_scale=0.0))
    config = state / "providers.toml"
    config.write_text(CONFIG.format(east=east.port, west=west.port))
    usual = environment(state)
    for name in DEFAULTS:
        usual.pop(f"OMNISPHERE_PROVIDERS_{name}")
    more = {
        "OMNISPHERE_SIMULATOR": "off",
        "OMNISPHERE_DISCOVER": "off",
        "OMNISPHERE_PROVIDERS_CONFIG": str(config),
        "OMNISPHERE_ROUTER_CATALOGUE_EVERY": "50ms",
        "OMNISPHERE_ROUTER_PORT": "0",
        "OMNISPHERE_ROUTER_METRICS_PORT": "0",
        "OMNISPHERE_ROUTER_DRAIN": "0s",
    }
    with (state / "log").open("w") as out:
        running = OneProcess(load({**usual, **CANARIES, **more}), Log("omnisphere", stream=out))
        await running.start()
        async with connected_to(running.port) as mesh:
            yield Coasts(mesh, east, west, state / "log")
        await running.stop()
    for simulator in (east, west):
        await simulator.stop()
    assert "sk-canary" not in (state / "log").read_text()


async def test_the_keys_of_an_endpoint_take_turns_and_are_named_in_the_decision(coasts: Coasts) -> None:
    coasts.east.faults.add(read_fault({"kind": "status", "status": 401}))
    response = await coasts.ask("Which key?")
    first, second = response.decision.attempts
    assert {first.key, second.key} == {"EAST_API_KEY", "EAST_API_KEY_2"}
    assert (first.endpoint, second.endpoint) == ("east", "east")
    assert response.decision.fallbacks == 0
    assert "sk-canary" not in str(response)


async def test_a_rest_that_the_provider_asks_for_is_kept_and_seen(coasts: Coasts) -> None:
    coasts.east.faults.add(read_fault({"kind": "status", "status": 429, "retry_after": 30, "times": 2}))
    response = await coasts.ask("Who has time?")
    assert [attempt.endpoint for attempt in response.decision.attempts] == ["east", "east", "west"]
    await coasts.ask("And now?")
    assert coasts.east.books.total().requests == 2
    resting = await _listed(coasts)
    assert [(each.name, each.state) for each in resting.endpoints] == [
        ("east", model_pb2.Endpoint.STATE_RESTING),
        ("west", model_pb2.Endpoint.STATE_READY),
    ]
    assert 25 < resting.endpoints[0].rests_for.seconds <= 30
    assert resting.prices.reasoning_usd_per_mtok == "3"
    coasts.west.faults.add(read_fault({"kind": "status", "status": 429, "retry_after": 20}))
    with pytest.raises(ProviderRateLimited) as limited:
        await coasts.ask("Anybody?")
    assert limited.value.retry_after is not None
    assert 15 < limited.value.retry_after.total_seconds() <= 20


async def test_a_broken_stream_begins_anew_at_the_other_endpoint(coasts: Coasts) -> None:
    coasts.east.faults.add(read_fault({"kind": "cut", "pause_ms": 50}))
    request = pb.StreamCompleteRequest(
        conversation=asking("Explain a mesh in three sentences, please."),
        model="mine",
        on_interruption=pb.ON_INTERRUPTION_RESTART,
    )
    events, error = await coasts.mesh.stream(request)
    assert error is None
    kinds = [event.WhichOneof("event") for event in events]
    assert kinds.count("restart") == 1
    after = events[kinds.index("restart") + 1 :]
    said = "".join(part.text for event in after for part in event.delta.parts)
    whole = await coasts.ask("Explain a mesh in three sentences, please.")
    assert said == "".join(part.text for part in whole.message.parts)
    decision = events[-1].end.decision
    assert [attempt.endpoint for attempt in decision.attempts] == ["east", "west"]
    assert decision.fallbacks == 0


async def _listed(coasts: Coasts) -> Any:
    """The model once the router has heard that an endpoint rests."""
    for _ in range(100):
        listed = await coasts.mesh.call(coasts.mesh.router.ListModels, pb.ListModelsRequest())
        mine = next(model for model in listed.models if model.id == "mine")
        if any(each.state == model_pb2.Endpoint.STATE_RESTING for each in mine.endpoints):
            return mine
        await asyncio.sleep(0.02)
    raise AssertionError("nobody rests")
