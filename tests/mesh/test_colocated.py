"""The third topology: context and providers in the router's process, one cache outside that several routers share."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from services.chassis.logs import Log
from services.chassis.settings import StartError
from services.together.one_process import OneProcess, load
from tests.mesh.harness import connected_to, environment, started
from tests.mesh.test_complete import until_hit

pytestmark = pytest.mark.slow


async def test_two_colocated_routers_share_one_cache(state: Path) -> None:
    async with started(state) as running:
        cache = f"127.0.0.1:{running.services['cache'].port}"
        ports = {"OMNISPHERE_ROUTER_PORT": "0", "OMNISPHERE_ROUTER_METRICS_PORT": "-1", "OMNISPHERE_ROUTER_DRAIN": "0s"}
        settings = load(environment(state, OMNISPHERE_ROUTER_CACHE=cache, **ports))
        with (state / "log").open("w") as out:
            log = Log("omnisphere", stream=out)
            routers = [OneProcess(settings, log, remote={"cache"}) for _ in range(2)]
            for router in routers:
                await router.start()
            async with connected_to(routers[0].port) as first, connected_to(routers[1].port) as second:
                answered = await first.complete("Which router answered this?")
                hit = await until_hit(second, "Which router answered this?")
            for router in routers:
                await router.stop()
    assert hit.decision.cache.outcome == cache_pb.CACHE_OUTCOME_EXACT_HIT
    assert hit.message == answered.message


def test_a_service_that_nobody_knows_cannot_be_remote(state: Path) -> None:
    with pytest.raises(StartError, match="remote: cash: must be among cache, context, providers"):
        OneProcess(load(environment(state)), Log("omnisphere"), remote={"cash"})
