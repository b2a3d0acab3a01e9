"""python -m bench.accounting: many calls with faults, retries, fallbacks, callers who hang up; then the books.

Four processes and a simulated fleet. The upstream's own books decide; beside them stand the metrics of providers and
their ledger's file. Callers hang up while the upstream still has words to say, so that both sides know that it was not
whole.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import grpc
from prometheus_client.parser import text_string_to_metric_families

from bench.rehearsal import channel_to, misbehave, page, simulated
from bench.score_accounting import Row, figures
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere.router.v1.router_service_pb2_grpc import RouterServiceStub
from services.chassis.settings import environment

_CALLERS = 48
_HANGS_UP, _STREAMS, _FAULTS = 0.05, 0.5, 0.35
_SETTINGS = {
    # A pace at which an answer takes long enough to be left in its middle.
    "OMNISPHERE_SIMULATOR_LATENCY_SCALE": "0.3",
    "OMNISPHERE_ROUTER_DRAIN": "0s",
    # Faults meet every model and key at once here: nobody would be left to ask.
    "OMNISPHERE_PROVIDERS_LONGEST_REST": "0s",
    "OMNISPHERE_PROVIDERS_BREAKER_FAILURES": "1000000",
}
_INPUT = ("input_uncached", "input_cache_read", "input_cache_write")
_KINDS: tuple[Mapping[str, object], ...] = (
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 503, "times": 3},
    {"kind": "status", "status": 429},
    {"kind": "status", "status": 401},
    {"kind": "status", "status": 404},
    {"kind": "reset"},
    {"kind": "cut", "pause_ms": 20},
    {"kind": "clean_cut", "pause_ms": 20},
    {"kind": "malformed"},
    {"kind": "empty_body"},
    {"kind": "html"},
    {"kind": "error_event"},
    {"kind": "content_filter"},
    {"kind": "context_length"},
    {"kind": "billed_empty"},
)
_MODELS = ("claude-opus", "claude-sonnet", "gpt-5", "gpt-5-mini", "gemini-flash", "deepseek-v3", "kimi-k2.5")


class Load:
    """Callers with a plan that the seed alone decides."""

    def __init__(self, channel: grpc.aio.Channel, simulator: int, calls: int, seed: int) -> None:
        self._router = RouterServiceStub(channel)
        self._simulator = simulator
        self._left = iter(range(calls))
        self._random = random.Random(seed)  # noqa: S311 - a plan, not a secret
        self.came: Counter[str] = Counter()

    async def run(self) -> None:
        """All calls, so many at once."""
        await asyncio.gather(*(self._caller() for _ in range(_CALLERS)))

    async def _caller(self) -> None:
        for number in self._left:
            if self._random.random() < _FAULTS:
                await self._fault()
            text = f"Call {number}: explain what a ledger is, in a few sentences, to somebody who never kept one."
            message = chat_pb2.Message(role=chat_pb2.ROLE_USER, parts=[chat_pb2.Part(text=text)])
            request = pb.StreamCompleteRequest(conversation=chat_pb2.Conversation(messages=[message]))
            request.options.cache.no_cache = request.options.cache.no_store = True
            if self._random.random() < 0.5:
                request.model = self._random.choice(_MODELS)
            self.came[await self._ask(request)] += 1

    async def _ask(self, request: pb.StreamCompleteRequest) -> str:
        """One word for what came of it."""
        try:
            if self._random.random() < _HANGS_UP:
                return await self._left_early(request)
            if self._random.random() < _STREAMS:
                request.on_interruption = self._random.choice((pb.ON_INTERRUPTION_RESTART, pb.ON_INTERRUPTION_FAIL))
                async for event in self._router.StreamComplete(request, timeout=30):
                    last = event
                return "streamed with a fallback" if last.end.decision.fallbacks else "streamed"
            plain = pb.CompleteRequest(conversation=request.conversation, model=request.model, options=request.options)
            response = await self._router.Complete(plain, timeout=30)
            return "answered with a fallback" if response.decision.fallbacks else "answered"
        except grpc.aio.AioRpcError as failure:
            return failure.code().name

    async def _left_early(self, request: pb.StreamCompleteRequest) -> str:
        call = self._router.StreamComplete(request, timeout=30)
        async for event in call:
            if event.HasField("delta"):
                break
        call.cancel()
        return "left"

    async def _fault(self) -> None:
        await misbehave(self._simulator, self._random.choice(_KINDS))


async def run(calls: int, seed: int, folder: Path, environ: Mapping[str, str]) -> tuple[list[Row], Counter[str]]:
    """The books after so many calls, and how the calls ended."""
    async with simulated(folder, environ, _SETTINGS) as mesh:
        ports, channel = mesh.services, channel_to(mesh)
        load = Load(channel, ports["simulator"].port, calls, seed)
        await load.run()
        await channel.close()
        await asyncio.sleep(2)  # ledgers write once a second
        upstream = _upstream(await page(ports["simulator"].port, "/books"))
        metrics = _metrics(await page(ports["providers"].metrics_port, "/metrics"))
        ledger = _ledger(folder / "ledger" / "attempts.sqlite3")
    return [*upstream, *metrics, *ledger], load.came


def _upstream(text: str) -> list[Row]:
    return [
        {
            "book": "upstream",
            "model": model,
            "requests": row["requests"],
            "billed": row["completed"],
            "input_tokens": row["input_tokens"],
            "output_tokens": row["output_tokens"],
            "cost_nanousd": row["cost_nanousd"],
        }
        for model, row in json.loads(text)["models"].items()
    ]


def _metrics(text: str) -> list[Row]:
    counts: dict[str, Counter[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            mine = counts.setdefault(sample.labels.get("model", ""), Counter())
            value = int(sample.value)
            match sample.name:
                case "omnisphere_providers_attempts_total":
                    mine["requests"] += value
                case "omnisphere_providers_tokens_total" if sample.labels["source"] == "reported":
                    mine["input_tokens" if sample.labels["class"] in _INPUT else "output_tokens"] += value
                case "omnisphere_providers_cost_nanousd_total" if sample.labels["source"] == "reported":
                    mine["cost_nanousd"] += value
    names = ("requests", "input_tokens", "output_tokens", "cost_nanousd")
    return [
        {"book": "metrics", "model": model, **{name: mine[name] for name in names}}
        for model, mine in counts.items()
        if mine["requests"]
    ]


def _ledger(path: Path) -> list[Row]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
        found = file.execute(
            """
            SELECT model, count(*), sum(NOT estimated AND input_uncached > 0),
                   sum(iif(estimated, 0, input_uncached + input_cache_read + input_cache_write)),
                   sum(iif(estimated, 0, output + reasoning)), sum(iif(estimated, 0, cost_nanousd)),
                   count(upstream_id) FILTER (WHERE upstream_id != '')
                   - count(DISTINCT upstream_id) FILTER (WHERE upstream_id != '')
            FROM attempt GROUP BY model
            """
        )
        names = ("model", "requests", "billed", "input_tokens", "output_tokens", "cost_nanousd", "doubled")
        return [{"book": "ledger", **dict(zip(names, row, strict=True))} for row in found]


def main() -> None:
    """Call, compare, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.accounting", description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--predictions", type=Path, help="keep the books")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows, came = asyncio.run(run(asked.calls, asked.seed, Path(folder), environment()))
    if asked.predictions:
        asked.predictions.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for word, count in came.most_common():
        print(f"{count:>7}  {word}")
    told = figures(rows)
    for line in told["differences"]:
        print(line)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
