"""Nobody gets an answer of another tenant or scope, whatever is equal; also after a restart, eviction and over Redis.

`make properties` does the same a million times, and a hundred thousand times over gRPC.
"""

from __future__ import annotations

import asyncio
import io
import os
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.cache.v1 import cache_service_pb2_grpc as rpc
from services.cache.embedding import Model
from services.cache.redis_log import RedisLog
from services.cache.service import CacheService
from services.cache.settings import CacheSettings
from services.cache.sqlite_storage import SqliteStorage
from services.chassis.client import open_channel
from services.chassis.clock import SystemClock
from services.chassis.identity import TENANT_KEY
from services.chassis.logs import Log
from services.chassis.server import Server, Service, Servicer
from tests.fakes.redis_server import running_redis
from tests.unit.cache.isolation import any_near_text_serves, attack, look_around
from tests.unit.cache.samples import Bench, as_tenant_async

LOOK_UPS = int(os.environ.get("ISOLATION_LOOK_UPS", "2000"))  # noqa: TID251
OVER_GRPC, AT_ONCE = max(10_000, LOOK_UPS // 10), 10
pytestmark = pytest.mark.timeout(30 + LOOK_UPS / 100)


class Attacked(Bench):
    async def ask(self, tenant: str, request: Any) -> Any:
        return await as_tenant_async(tenant, self.cache.look_up(request))

    async def keep(self, tenant: str, request: Any) -> Any:
        return await as_tenant_async(tenant, self.cache.store(request))


@asynccontextmanager
async def served(bench: Attacked) -> AsyncIterator[rpc.CacheServiceAsyncStub]:
    """The cache behind the server that every service has."""
    settings = CacheSettings(port=0, metrics_port=-1, drain=timedelta(0), grace=timedelta(seconds=1))
    name = pb.DESCRIPTOR.services_by_name["CacheService"].full_name
    servicer = Servicer(name, CacheService(bench.cache), rpc.add_CacheServiceServicer_to_server)
    service = Service(name="cache", servicers=(servicer,), start=bench.cache.start, stop=bench.cache.stop)
    server = Server(service, settings, log=Log("cache", stream=io.StringIO()), registry=bench.registry)
    await server.start()
    channel = open_channel(f"127.0.0.1:{server.port}", health_name=name)
    try:
        yield rpc.CacheServiceStub(channel)
    finally:
        await channel.close()
        await server.drain_and_stop()


@pytest.fixture(scope="module")
def model() -> Model:
    return any_near_text_serves()


async def test_no_look_up_gets_a_foreign_answer(model: Model):
    bench = Attacked(model=model, clock=SystemClock(), check_share=0.0)
    await bench.cache.start()
    found = await attack(LOOK_UPS, bench.ask, bench.keep, seed=1)
    await bench.cache.stop()
    assert found["foreign"] == 0
    assert found["semantic"] > LOOK_UPS / 20
    assert found["hits"] > found["semantic"]


async def test_nor_over_grpc_where_the_tenant_comes_from_the_call(model: Model):
    async with served(Attacked(model=model, clock=SystemClock(), check_share=0.0)) as stub:

        def calls(method: Any) -> Any:
            async def call(tenant: str, request: Any) -> Any:
                named = tenant.replace(" ", ".")  # a blank is refused at the door
                return await method(request, metadata=[(TENANT_KEY, named)])

            return call

        ask = calls(stub.LookUp)
        await attack(1, ask, calls(stub.Store), seed=7, stores=1_000)
        attacks = [look_around(OVER_GRPC // AT_ONCE, ask, random.Random(number)) for number in range(AT_ONCE)]
        found: Counter[str] = Counter()
        for part in await asyncio.gather(*attacks):
            found.update(part)
    print(dict(found))
    assert found["foreign"] == 0
    assert found["semantic"] > OVER_GRPC / 40
    assert found["hits"] > found["semantic"]


async def test_nor_when_most_entries_had_to_make_room(model: Model):
    bench = Attacked(model=model, clock=SystemClock(), most_entries=100, check_share=0.0)
    await bench.cache.start()
    found = await attack(LOOK_UPS // 3, bench.ask, bench.keep, seed=2)
    await bench.cache.stop()
    assert found["foreign"] == 0
    assert found["hits"] > 0


async def test_nor_after_a_restart(model: Model, tmp_path: Path):
    def storage() -> SqliteStorage:
        return SqliteStorage(tmp_path / "cache.sqlite", log=Log("cache"), clock=SystemClock())

    first = Attacked(storage(), model=model, clock=SystemClock(), check_share=0.0)
    await first.cache.start()
    await attack(1, first.ask, first.keep, seed=3)
    await first.cache.stop()
    second = Attacked(storage(), model=model, clock=SystemClock(), check_share=0.0)
    await second.cache.start()
    await second.cache.ready()
    found = await look_around(LOOK_UPS // 3, second.ask, random.Random(4))
    await second.cache.stop()
    assert found["foreign"] == 0
    assert found["semantic"] > 0


async def test_nor_over_redis(model: Model, tmp_path: Path):
    with running_redis(tmp_path) as server:
        replicas = []
        for _ in range(2):
            keeper = RedisLog(server.url, log=Log("cache"), clock=SystemClock(), on_dropped=lambda count: None)
            replicas.append(Attacked(model=model, keeper=keeper, clock=SystemClock(), check_share=0.0))
            await replicas[-1].cache.start()
        one, other = replicas
        await attack(1, one.ask, one.keep, seed=5, stores=500)
        wanted = one.cache.stats_of("a").entries
        async with asyncio.timeout(10):
            while other.cache.stats_of("a").entries < wanted:  # noqa: ASYNC110 - another replica tells nobody
                await asyncio.sleep(0.01)
        found = await look_around(LOOK_UPS // 3, other.ask, random.Random(6))
        for replica in replicas:
            await replica.cache.stop()
        assert found["foreign"] == 0
        assert found["hits"] > 0
