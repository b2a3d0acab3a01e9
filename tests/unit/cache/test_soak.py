"""A soak: far more is stored than there is room for, and memory stays where the bound says.

`CACHE_SOAK=1000000` makes it longer.
"""

from __future__ import annotations

import gc
import os
import random
from pathlib import Path

import pytest

from services.cache.storage import MemoryStorage
from tests.unit.cache.samples import Bench, query, reply

STORES = int(os.environ.get("CACHE_SOAK", "100000"))  # noqa: TID251
MOST_BYTES = 4 * 1024 * 1024
# What the allocator may keep beside it: far less than what was stored (150 MB and more).
ROOM_MB = 40
pytestmark = pytest.mark.timeout(60 + STORES / 1_000)


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.slow
async def test_many_stores_leave_memory_at_its_bound():
    storage = MemoryStorage()
    bench = Bench(storage, most_bytes=MOST_BYTES)
    chance, tenants = random.Random(1), "abc"
    answer = reply("word " * 100)
    settled = 0.0
    for number in range(STORES):
        bench.store(query(f"question {number}"), answer, tenant=chance.choice(tenants))
        if number % 10 == 0:
            bench.look_up(query(f"question {chance.randrange(number + 1)}"), tenant=chance.choice(tenants))
        if number % 1_000 == 0:
            await bench.writes.flush()
            assert bench.cache._table.total_bytes <= MOST_BYTES
        if number == STORES // 5:
            gc.collect()
            settled = resident_mb()
    gc.collect()
    print(f"{settled:.0f} MB after a fifth, {resident_mb():.0f} MB in the end")
    assert resident_mb() < settled + ROOM_MB
    entries = sum(bench.cache.stats_of(tenant).entries for tenant in tenants)
    assert 0 < entries < STORES / 10
    assert len(storage._entries) <= entries
