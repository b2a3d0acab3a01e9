"""python -m bench.books: a random mixture of all that is booked, through four processes; six books must say the same.

The seed alone decides the plan. `--restarts`: services are stopped and started in the middle of it, so that metrics,
which begin with the process, are left out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from bench.books.compare import Books, Row, Sample, differences
from bench.books.play import TENANTS, Player
from bench.rehearsal import channel_to, page, simulated
from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere.router.v1.router_service_pb2_grpc import RouterServiceStub
from services.chassis.settings import environment

_CALLERS = 24
# Longer than any fault takes, and than what a call cost is asked for.
_QUIET_SECONDS, _LONGEST_SECONDS = 3.0, 40.0
_SETTINGS = {
    # A pace at which an answer takes long enough to be left in its middle.
    "OMNISPHERE_SIMULATOR_LATENCY_SCALE": "0.1",
    "OMNISPHERE_ROUTER_HTTP_PORT": "0",
    "OMNISPHERE_ROUTER_DRAIN": "200ms",
    "OMNISPHERE_ROUTER_GRACE": "500ms",
    "OMNISPHERE_PROVIDERS_DRAIN": "200ms",
    "OMNISPHERE_PROVIDERS_GRACE": "500ms",
    "OMNISPHERE_PROVIDERS_IDLE_TIMEOUT": "2s",
    "OMNISPHERE_PROVIDERS_FIRST_TOKEN_TIMEOUT": "2s",
    "OMNISPHERE_PROVIDERS_WHOLE_ANSWER_TIMEOUT": "4s",
    "OMNISPHERE_PROVIDERS_LONGEST_REST": "200ms",
    "OMNISPHERE_PROVIDERS_BREAKER_FIRST": "200ms",
    "OMNISPHERE_PROVIDERS_BREAKER_MOST": "400ms",
    "OMNISPHERE_ROUTER_EXPLORE_SHARE": "0.2",
    "OMNISPHERE_ROUTER_SHADOW_USD_PER_DAY": "0.05",
    "OMNISPHERE_CACHE_CHECK_SHARE": "0.5",
}
_RESTARTS = ("router", "providers", "cache", "context", "providers", "router")


async def run(calls: int, seed: int, folder: Path, environ: Mapping[str, str], *, restarts: bool = False) -> Books:
    """All books after so many calls."""
    async with simulated(folder, environ, _SETTINGS) as mesh:
        ports, channel = mesh.services, channel_to(mesh)
        chance = random.Random(seed)  # noqa: S311 - a plan, not a secret
        player = Player(channel, ports["router"].http_port, ports["simulator"].port, chance)
        if restarts:
            playing = asyncio.create_task(player.run(calls, _CALLERS))
            for name in _RESTARTS:
                await asyncio.sleep(1.5)
                await mesh.restart(name)
            await playing
        else:
            await player.run(calls, _CALLERS)
        await _quiet(folder)
        usage = await RouterServiceStub(channel).GetUsage(
            pb.GetUsageRequest(group_by=[pb.USAGE_GROUPING_TENANT, pb.USAGE_GROUPING_MODEL])
        )
        await channel.close()
        upstream = json.loads(await page(ports["simulator"].port, "/books"))["models"]
        pages = [await page(mesh.services[name].metrics_port, "/metrics") for name in ("router", "providers")]
    return Books(
        upstream,
        _rows(folder, "attempt"),
        _lines(folder, "providers", "attempt"),
        _rows(folder, "request"),
        _lines(folder, "router", "request"),
        None if restarts else [sample for page in pages for sample in _samples(page)],
        usage.rows,
        player.told,
    )


async def _quiet(folder: Path) -> None:
    """Wait until no row has come for a while."""
    seen, still = -1, 0.0
    for _ in range(int(_LONGEST_SECONDS / 0.5)):
        await asyncio.sleep(0.5)
        now = len(_rows(folder, "attempt")) + len(_rows(folder, "request"))
        still = still + 0.5 if now == seen else 0.0
        seen = now
        if still >= _QUIET_SECONDS:
            return


def _rows(folder: Path, name: str) -> list[Row]:
    path = folder / "ledger" / f"{name}s.sqlite3"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)) as file:
        file.row_factory = sqlite3.Row
        return [dict(row) for row in file.execute(f"SELECT * FROM {name}")]  # noqa: S608 - a name of ours


def _lines(folder: Path, service: str, event: str) -> list[Row]:
    mark, found = f'"event":"{event}"', list[Row]()
    for line in (folder / "logs" / f"{service}.log").read_text().splitlines():
        if mark in line:
            row = json.loads(line)
            if "request_id" in row and "at" in row:
                found.append({name: value for name, value in row.items() if name not in ("service", "event")})
    return found


def _samples(page: str) -> Sequence[Sample]:
    families = text_string_to_metric_families(page)
    return [(sample.name, sample.labels, sample.value) for family in families for sample in family.samples]


def main() -> None:
    """Play, compare, print; exit code 1 where books differ."""
    parser = argparse.ArgumentParser(prog="python -m bench.books", description=__doc__)
    parser.add_argument("--calls", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--restarts", action="store_true", help="stop and start services in the middle")
    parser.add_argument("--keep", type=Path, help="a folder for logs and ledgers")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = asked.keep or Path(made)
        folder.mkdir(parents=True, exist_ok=True)
        books = asyncio.run(run(asked.calls, asked.seed, folder, environment(), restarts=asked.restarts))
    for (kind, code), count in sorted(Counter((told.kind, told.code) for told in books.told).items()):
        print(f"{count:>7}  {kind} {code}")
    found = differences(books)
    for line in found[:100]:
        print(line)
    sizes = {"callers": len(books.told), "requests": len(books.requests), "attempts": len(books.attempts)}
    purposes = Counter(row["purpose"] for row in books.attempts)
    print(json.dumps({**sizes, **purposes, "tenants": len(TENANTS), "differences": len(found)}))
    raise SystemExit(1 if found else 0)


if __name__ == "__main__":
    main()
