"""From start to first answer, and resident memory: of the four services as bench.start does it, and of one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping

from bench import start
from bench.mesh import ours, rig, verify
from bench.mesh.paths import Row
from bench.mesh.processes import Servers, resident_mb
from bench.mesh.rig import Upstreams


async def four_services(times: int) -> list[Row]:
    """A row per service."""
    found = await start.measure(times)
    return [{"target": name, "path": "start", **figures} for name, figures in found.items()]


async def one_process(servers: Servers, base: Mapping[str, str], behind: Upstreams, times: int) -> Row:
    """`omnisphere up`, from its start to an answer of the upstream's."""
    seconds = []
    for _ in range(times):
        before = len(servers.started)
        began = time.monotonic()
        running = rig.one_process(servers, base, behind, "start")
        verify.complete(running.port, ours.question())
        seconds.append(time.monotonic() - began)
        rest = resident_mb(running.pids)
        if len(seconds) == times:
            await start.load(running.port)
        loaded = resident_mb(running.pids)
        servers.stop(before)
    return {
        "target": "one_process",
        "path": "start",
        "start_s": round(statistics.median(seconds), 2),
        "rss_mb": rest,
        "rss_loaded_mb": loaded,
    }
