"""Replicas over a real Redis: what one keeps, forgets or learns the others know, and without Redis they go on."""

from __future__ import annotations

import asyncio
import io
import json
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import redis

from omnisphere.cache.v1 import cache_service_pb2 as pb
from services.cache.entry import Moment
from services.cache.redis_log import PREFIX, RedisLog
from services.cache.selection import Selection
from services.chassis.clock import SystemClock
from services.chassis.logs import Log
from tests.fakes.redis_server import RedisServer, running_redis
from tests.unit.cache.samples import as_tenant_async, query, reply
from tests.unit.cache.test_semantic_level import ASKED, MEANT, Semantic, model

SECONDS = 5.0
NEVER_OVER = Moment(0.0, 0.0)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    with running_redis(tmp_path) as server:
        yield server


class Replica(Semantic):
    """One cache of several, on the machine's own clock."""

    def __init__(self, server: RedisServer, *, semantic: bool = True) -> None:
        self.out = io.StringIO()
        log = Log("cache", stream=self.out)
        keeper = RedisLog(server.url, log=log, clock=SystemClock(), on_dropped=lambda count: None)
        super().__init__(model=model() if semantic else None, keeper=keeper, clock=SystemClock(), check_share=0.0)

    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.out.getvalue().splitlines()]


@asynccontextmanager
async def replicas(server: RedisServer, count: int = 2, **more: Any) -> AsyncIterator[list[Replica]]:
    made = [Replica(server, **more) for _ in range(count)]
    for replica in made:
        await replica.cache.start()
        await replica.cache.ready()
    yield made
    for replica in made:
        await replica.cache.stop()


async def until(check: Callable[[], Any], *, pause: float = 0.005) -> None:
    async with asyncio.timeout(SECONDS):
        while True:
            if await check():
                return
            await asyncio.sleep(pause)


async def test_what_one_replica_keeps_another_finds_exactly_and_by_meaning(server: RedisServer):
    async with replicas(server) as (one, other):
        await one.keep(ASKED)

        async def found() -> bool:
            return bool((await other.ask(ASKED)).outcome == pb.CACHE_OUTCOME_EXACT_HIT)

        await until(found)
        hit = await other.ask(MEANT)
        assert (hit.outcome, hit.reply) == (pb.CACHE_OUTCOME_SEMANTIC_HIT, reply("Like this."))
        assert (await other.ask(MEANT, tenant="b")).similarity == 0
        assert one.cache.stats_of("a").shared


async def test_what_one_is_told_to_forget_or_that_is_wrong_all_know(server: RedisServer):
    async with replicas(server) as (one, other):
        for text in (ASKED, "What do whales eat?"):
            await one.keep(text)

        async def found() -> bool:
            return bool((await other.ask("What do whales eat?")).entry_id)

        await until(found)
        hit = await other.ask(MEANT)
        await other.report(MEANT, hit.entry_id, pb.ReportHitRequest.VERDICT_WRONG)

        async def refused() -> bool:
            return not (await one.ask(MEANT)).entry_id

        await until(refused)
        assert await other.invalidate(all=True) == 2

        async def forgotten() -> bool:
            return not (await one.ask(ASKED)).entry_id

        await until(forgotten)
    async with replicas(server, 1) as (again,):
        assert not (await again.ask(ASKED)).entry_id
        await again.keep(ASKED)
        assert (await again.ask(MEANT)).outcome == pb.CACHE_OUTCOME_MISS


@pytest.mark.parametrize("by", ["scope_of_entry_id", "model", "new_epoch"])
async def test_what_an_invalidation_means_is_gone_everywhere_also_where_only_another_had_it(
    server: RedisServer, by: str
):
    async with replicas(server, semantic=False) as (one, other):
        kept = await one.keep(ASKED)
        await one.keep("What do whales eat?")
        await one.keep(ASKED, tenant="b")

        async def found() -> bool:
            return bool((await other.ask(ASKED, tenant="b")).entry_id)

        await until(found)
        # As if it had made room: it no longer knows of one of the two, and says so to nobody.
        one.cache._table.forget("a", Selection(tag=""), now=NEVER_OVER, elsewhere=True)
        one.cache.kept_elsewhere(next(filter(None, map(other.cache._table.at, range(3)))))
        fields = {by: {"scope_of_entry_id": kept.entry_id, "model": "model-1", "new_epoch": True}[by]}
        await one.invalidate(**fields)

        async def forgotten() -> bool:
            return not any([(await other.ask(text)).entry_id for text in (ASKED, "What do whales eat?")])

        await until(forgotten)
        assert (await other.ask(ASKED, tenant="b")).entry_id
    async with replicas(server, 1, semantic=False) as (late,):  # whose bodies nobody deleted
        assert not any([(await late.ask(text)).entry_id for text in (ASKED, "What do whales eat?")])
        assert (await late.ask(ASKED, tenant="b")).entry_id
        await late.keep(ASKED)
        assert (await late.ask(ASKED)).entry_id


async def test_a_replica_that_starts_later_reads_everything(server: RedisServer):
    async with replicas(server, 1) as (one,):
        for number in range(250):
            await one.keep(f"Question number {number}?", f"Answer {number}.")
    async with replicas(server, 1) as (late,):
        for number in (0, 100, 249):

            async def found(number: int = number) -> bool:
                answered = await late.ask(f"Question number {number}?")
                return bool(answered.outcome == pb.CACHE_OUTCOME_EXACT_HIT)

            await until(found)
            assert (await late.ask(f"Question number {number}?")).reply == reply(f"Answer {number}.")


async def test_between_replicas_one_router_leads_until_the_answer_is_there(server: RedisServer):
    async with replicas(server) as (one, other):

        async def lease(replica: Replica, holder: str) -> Any:
            return (await replica.ask("Who?", more={"want_lease": True, "lease_holder": holder})).lease

        assert (await lease(one, "a")).grant == pb.Lease.GRANT_LEAD
        waits = await lease(other, "b")
        assert waits.grant == pb.Lease.GRANT_WAIT
        assert 0 < waits.until.ToNanoseconds() / 1e9 - time.time() <= 10
        assert (await lease(other, "a")).grant == pb.Lease.GRANT_LEAD
        await one.keep("Who?")

        async def found() -> bool:
            return bool((await other.ask("Who?")).entry_id)

        await until(found)


async def test_without_redis_everything_goes_on_and_with_it_all_comes_together(server: RedisServer):
    async with replicas(server) as (one, other):
        server.kill()
        started = time.monotonic()
        await one.keep(ASKED)
        assert (await one.ask(ASKED)).outcome == pb.CACHE_OUTCOME_EXACT_HIT
        assert (await one.ask("Who?", more={"want_lease": True, "lease_holder": "a"})).lease.grant
        assert (await other.ask(ASKED)).outcome == pb.CACHE_OUTCOME_MISS
        assert time.monotonic() - started < 2

        async def away() -> bool:
            return not one.cache.stats_of("a").shared and "cache_redis_away" in other.events()

        await until(away)
        server.start()

        async def found() -> bool:
            return bool((await other.ask(ASKED)).entry_id)

        await until(found)
        assert one.cache.stats_of("a").shared


async def test_a_body_that_is_torn_foreign_or_gone_is_not_taken_up(server: RedisServer):
    client: Any = redis.Redis.from_url(server.url)
    async with replicas(server) as (one, other):
        await one.keep(ASKED)

        async def found() -> bool:
            return bool((await other.ask(ASKED)).entry_id)

        await until(found)
    (key,) = client.keys(f"{PREFIX}entry:*")
    body = client.hgetall(key)
    for number, change in enumerate(({b"canonical": b"torn"}, {b"stored_at": b"x"}, {b"reply": b"\xff\xff"})):
        other_key = f"{PREFIX}entry:{bytes([number] * 32).hex()}"
        client.hset(other_key, mapping={**body, **change})
    client.hset(f"{PREFIX}entry:{bytes([9] * 32).hex()}", mapping=body)  # under another request's name
    client.close()
    async with replicas(server, 1) as (late,):
        assert late.cache.stats_of("a").entries == 1


async def test_an_entry_is_seen_by_another_replica_within_moments(server: RedisServer):
    async with replicas(server, semantic=False) as (one, other):
        seconds = []
        for number in range(40):
            asked = query(f"question {number}")
            await as_tenant_async("a", one.cache.store(pb.StoreRequest(query=asked, reply=reply())))
            started = time.perf_counter()

            async def seen(question: pb.Query = asked) -> bool:
                found = await as_tenant_async("a", other.cache.look_up(pb.LookUpRequest(query=question)))
                return bool(found.entry_id)

            await until(seen, pause=0.001)
            seconds.append(time.perf_counter() - started)
        print(f"median {statistics.median(seconds) * 1000:.1f} ms, most {max(seconds) * 1000:.1f} ms")
