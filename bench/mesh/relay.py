"""Streams that the providers service relays, token by token: is anybody starved?

The upstream sends a token every RELAY_GAP_MS to each of 100 streams; what counts is how far apart they reach the
caller.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Iterator

import grpc

from bench.mesh import ours
from bench.mesh.ours import Running
from bench.mesh.processes import BenchError, cpu_seconds
from bench.mesh.upstream import RELAY_GAP_MS, RELAYED_MODEL
from omnisphere.providers.v1 import providers_service_pb2 as pb
from omnisphere.providers.v1.providers_service_pb2_grpc import ProvidersServiceStub

STREAMS = 100


async def relayed(providers: Running, rounds: int) -> Iterator[dict[str, object]]:
    """A row per round: the median gap of all streams, and that of the stream that fared worst."""
    rows: list[dict[str, object]] = []
    async with grpc.aio.insecure_channel(f"127.0.0.1:{providers.port}") as channel:
        for number in range(rounds):
            before = cpu_seconds(providers.pids)
            gaps = await asyncio.gather(*(_gaps(channel) for _ in range(STREAMS)))
            spent = cpu_seconds(providers.pids) - before
            medians = sorted(statistics.median(each) for each in gaps)
            tokens = sum(len(each) + 1 for each in gaps)
            rows.append(
                {
                    "path": "relay",
                    "target": "providers",
                    "at_once": STREAMS,
                    "number": number,
                    "pace_ms": RELAY_GAP_MS,
                    "gap_ms": round(statistics.median(medians) * 1000, 2),
                    "worst_gap_ms": round(medians[-1] * 1000, 2),
                    "cpu_us_per_token": round(spent / tokens * 1e6, 1),
                }
            )
    return iter(rows)


async def _gaps(channel: grpc.aio.Channel) -> list[float]:
    """Seconds between the deltas of one stream."""
    generation = ours.generation(RELAYED_MODEL)
    events = ProvidersServiceStub(channel).StreamGenerate(pb.StreamGenerateRequest(generation=generation))
    came = [time.monotonic() async for event in events if event.HasField("delta")]
    if len(came) < 2:
        raise BenchError(f"a relayed stream had {len(came)} deltas")
    return [after - before for before, after in itertools.pairwise(came)]
