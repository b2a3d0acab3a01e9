"""A provider that does what a test tells it, over real HTTP, and a caller that asks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest_asyncio
from aiohttp import web
from prometheus_client import CollectorRegistry

from services.chassis.clock import SystemClock
from services.chassis.settings import Secret
from services.ledger.ledger import NoBook
from services.providers.adapters import WireFormat
from services.providers.endpoints import Directory, Endpoint
from services.providers.keys import Key
from services.providers.ledger import Attempts
from services.providers.metrics import ProvidersMetrics
from services.providers.patience import Limits
from services.providers.retry import RetryRules
from services.providers.tariff import PriceRow
from services.providers.transport import Transport
from services.simulator.server import Simulator
from services.simulator.settings import SimulatorSettings
from tests.fakes.providers import ONCE, wired
from tests.unit.providers.samples import CANARY, model_row

GATE = web.AppKey("gate", asyncio.Event)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
PRICE = PriceRow(input_usd_per_mtok="2", output_usd_per_mtok="10", cache_read_usd_per_mtok="0.5")
# Short where a test waits for them to pass, long enough for a busy machine to answer.
PATIENT = Limits(connect=2, first_token=2, whole=2, idle=2, total=5, most_bytes=1 << 20)
HASTY = Limits(connect=2, first_token=0.1, whole=0.1, idle=0.1, total=5, most_bytes=1 << 20)


@dataclass
class ScriptedProvider:
    """Answers every request with `answer`, and remembers what was sent.

    A stream's second piece waits until `gate` is open, which it is unless a test closes it.
    """

    url: str = ""
    answer: Answer | None = None
    requests: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    received: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.path, headers, await request.read()))
        self.received.set()
        assert self.answer is not None
        try:
            return await self.answer(request)
        except asyncio.CancelledError:
            self.hung_up.set()
            raise


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    scripted = ScriptedProvider()
    scripted.gate.set()
    app = web.Application(client_max_size=64 << 20)
    app[GATE] = scripted.gate
    app.router.add_route("*", "/{path:.*}", scripted.serve)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    scripted.url = f"http://127.0.0.1:{site.port}"
    yield scripted
    await runner.cleanup()


class Rig:
    """A caller of one model "m" at one endpoint, an embedder of one model "e" there, and their books."""

    def __init__(
        self,
        url: str,
        *,
        limits: Limits = PATIENT,
        clock: SystemClock | None = None,
        rules: RetryRules = ONCE,
        wire_format: WireFormat = "openai_chat",
    ) -> None:
        serves = {"m": "own-name", "e": "own-embedder"}
        keys = (Key("V_API_KEY", Secret(CANARY)),)
        endpoint = Endpoint(name="scripted", base_url=url, keys=keys, serves=serves, format=wire_format)
        rows = (
            model_row("m", price=PRICE),
            model_row("unserved"),
            model_row("e", price=PRICE, capabilities=("embeddings",)),
            model_row("idle-embedder", capabilities=("embeddings",)),
        )
        self.directory = Directory(rows, (endpoint,))
        self.registry = CollectorRegistry()
        self.transport = Transport(limits)
        metrics = ProvidersMetrics(self.registry)
        self.attempts = Attempts(NoBook(), metrics)
        self.caller, self.embedder = wired(
            self.directory, self.transport, metrics, attempts=self.attempts, clock=clock, rules=rules
        )

    def booked(self) -> dict[str, float]:
        """Attempts by outcome."""
        found: dict[str, float] = {}
        for metric in self.registry.collect():
            for sample in metric.samples:
                if sample.name == "omnisphere_providers_attempts_total":
                    outcome = sample.labels["outcome"]
                    found[outcome] = found.get(outcome, 0) + sample.value
        return found

    def cost(self, source: str) -> float:
        """Nano-dollars of the model's attempts; `source` is "reported" or "estimated"."""
        return self.figure("omnisphere_providers_cost_nanousd_total", model="m", source=source)

    def figure(self, name: str, **labels: str) -> float:
        """One figure of the metrics."""
        return self.registry.get_sample_value(name, labels) or 0.0


MakeRig = Callable[..., Rig]


@pytest_asyncio.fixture
async def rig(provider: ScriptedProvider) -> AsyncIterator[MakeRig]:
    """Makes callers of the scripted provider, or of another address."""
    made: list[Rig] = []

    def make(
        limits: Limits = PATIENT,
        *,
        url: str = "",
        clock: SystemClock | None = None,
        rules: RetryRules = ONCE,
        wire_format: WireFormat = "openai_chat",
    ) -> Rig:
        made.append(Rig(url or provider.url, limits=limits, clock=clock, rules=rules, wire_format=wire_format))
        return made[-1]

    yield make
    for each in made:
        await each.transport.close()


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    simulated = Simulator()
    await simulated.start(SimulatorSettings(port=0, latency_scale=0.0))
    yield simulated
    await simulated.stop()
