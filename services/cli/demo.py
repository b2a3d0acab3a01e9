"""The demo: four services and a simulator, a workload through them, and checks of what came back."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import InvalidRequest
from services.cli import report
from services.cli.books import differences, providers_books, simulator_books
from services.cli.client import connected
from services.cli.send import Outcome, Sender
from services.cli.usage import total_of
from services.cli.workload import Step, load_workload
from services.together.four_processes import FourProcesses

REFERENCE = "claude-opus"
STRATEGIES = ("rule", "semantic", "threshold", "cost_aware", "cascade")
_AT_ONCE = 8
# Answers are stored after they were given; a repeat that comes at once would be too early to find it.
_UNTIL_STORED = 0.1
# A twentieth of the models' real pace, so that nobody waits.
_LATENCY_SCALE = "0.05"


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of the workload. `usage` is the ledger's word on what was routed, `served_nanousd` the simulator's.

    `strategies`: the same workload by policy, without the cache; `rated` answers were then told to be right or wrong,
    and `learned` is `auto` after that.
    """

    routed: list[Outcome]
    reference: list[Outcome]
    strategies: dict[str, list[Outcome]]
    rated: int
    learned: list[Outcome]
    usage: list[pb.UsageRow]
    served_nanousd: int


async def run_demo(console: Console, environ: Mapping[str, str]) -> int:
    """Run it; the exit code is 0 when everything was as it should be."""
    with tempfile.TemporaryDirectory(prefix="omnisphere-demo-") as folder:
        mesh = FourProcesses(_environment(environ, folder), logs=Path(folder) / "logs", simulator=True)
        if ignored := sorted(name for name in environ if name.endswith("_API_KEY")):
            console.print(f"[yellow]ignored here: {', '.join(ignored)}; the demo asks simulated models only[/yellow]")
        started = time.monotonic()
        await mesh.start()
        try:
            report.started(console, mesh.services, time.monotonic() - started)
            sent = await _send_all(console, mesh)
            wrong_books = await _compare(mesh)
        finally:
            await mesh.stop()
    report.requests(console, sent.routed)
    report.totals(console, sent.routed, sent.reference)
    report.strategies(console, sent.strategies, sent.reference, sent.learned, sent.rated)
    report.usage(console, sent.usage)
    checks = _checks(sent, wrong_books)
    report.checks(console, checks)
    return 0 if all(not problem for _, problem in checks) else 1


def _environment(environ: Mapping[str, str], folder: str) -> dict[str, str]:
    """Ours alone: no setting of the person's own mesh, no key."""
    kept = {name: value for name, value in environ.items() if not name.startswith("OMNISPHERE_")}
    return {
        **{name: value for name, value in kept.items() if not name.endswith("_API_KEY")},
        "OMNISPHERE_STATE": folder,
        "OMNISPHERE_SIMULATOR": "on",
        "OMNISPHERE_SIMULATOR_LATENCY_SCALE": _LATENCY_SCALE,
        # Nothing is asked that no table shows, and every run shows the same.
        "OMNISPHERE_ROUTER_EXPLORE_SHARE": "0",
        "OMNISPHERE_CACHE_CHECK_SHARE": "0",
    }


async def _send_all(console: Console, mesh: FourProcesses) -> Sent:
    """The workload as a person would send it; then all of it to the reference model, and by policy."""
    steps = load_workload()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    async with connected(f"127.0.0.1:{mesh.services['router'].port}") as stub:
        with Progress(*columns, console=console, transient=True) as progress:
            bar = progress.add_task("routed", total=len(steps))
            sender, routed = Sender(stub), []
            for step in steps:
                if step.kind == "repeat":
                    await asyncio.sleep(_UNTIL_STORED)
                routed.append(await sender.send(step))
                progress.advance(bar)
            usage = await stub.GetUsage(pb.GetUsageRequest(group_by=[pb.USAGE_GROUPING_MODEL]))
            served = await simulator_books(mesh.services["simulator"].port)
            reference = await _all_at_once(Sender(stub, model=REFERENCE, use_cache=False), steps, progress, REFERENCE)
            by_policy = {
                policy: await _all_at_once(Sender(stub, policy=policy, use_cache=False), steps, progress, policy)
                for policy in STRATEGIES
            }
            rated = await sender.rate(outcome for outcomes in by_policy.values() for outcome in outcomes)
            learned = await _all_at_once(Sender(stub, use_cache=False), steps, progress, "auto")
    return Sent(
        routed=routed,
        reference=reference,
        strategies=by_policy,
        rated=rated,
        learned=learned,
        usage=list(usage.rows),
        served_nanousd=sum(book.cost_nanousd for book in served.values()),
    )


async def _all_at_once(sender: Sender, steps: list[Step], progress: Progress, title: str) -> list[Outcome]:
    """The whole workload but its bad request, several steps at the same time."""
    bar = progress.add_task(title, total=len(steps) - 1)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def send(group: list[Step]) -> list[Outcome]:
        async with gate:
            outcomes = []
            for step in group:
                outcomes.append(await sender.send(step))
                progress.advance(bar)
            return outcomes

    return [outcome for group in await asyncio.gather(*map(send, _groups(steps))) for outcome in group]


def _groups(steps: list[Step]) -> list[list[Step]]:
    """Steps that can be sent at the same time: turns of one conversation stay in order."""
    groups: dict[str, list[Step]] = {}
    for number, step in enumerate(steps):
        if step.kind != "bad":
            groups.setdefault(step.conversation or f"#{number}", []).append(step)
    return list(groups.values())


async def _compare(mesh: FourProcesses) -> list[str]:
    """Where the providers' books and the simulator's differ."""
    ours = await providers_books(mesh.services["providers"].metrics_port)
    return differences(ours, await simulator_books(mesh.services["simulator"].port))


def _checks(sent: Sent, wrong_books: list[str]) -> list[tuple[str, str]]:
    """(what must hold, what is wrong with it; empty: nothing)."""
    routed, used = sent.routed, total_of(sent.usage).cost.nanousd
    hits = {
        kind: [o for o in routed if o.step.kind == kind and _is_hit(o)] for kind in ("repeat", "rephrase", "near_miss")
    }
    repeats = sum(outcome.step.kind == "repeat" for outcome in routed)
    bad = [outcome for outcome in routed if outcome.step.kind == "bad"]
    failed = [outcome for outcome in routed if outcome.step.kind != "bad" and outcome.refused is not None]
    said = "; ".join(f"{o.refused.reason()} {o.refused.metadata.get('field')}" for o in bad if o.refused is not None)
    precise = all(isinstance(outcome.refused, InvalidRequest) and not outcome.decisions for outcome in bad)
    return [
        ("every request but the bad one was answered", f"{len(failed)} failed" if failed else ""),
        (f"the bad request was refused ({said}), and no model was asked", "" if bad and precise else "it was not"),
        (
            f"{repeats} exact repeats came from the cache",
            "" if len(hits["repeat"]) == repeats else f"only {len(hits['repeat'])} did",
        ),
        ("no near-miss was answered from the cache", f"{len(hits['near_miss'])} were" if hits["near_miss"] else ""),
        ("what providers booked is what the simulator served, to the nano-dollar", "; ".join(wrong_books)),
        (
            "the total of the usage is what the simulator charged for the routed requests, to the nano-dollar",
            "" if used == sent.served_nanousd else f"{used} and {sent.served_nanousd}",
        ),
    ]


def _is_hit(outcome: Outcome) -> bool:
    hits = (cache_pb.CACHE_OUTCOME_EXACT_HIT, cache_pb.CACHE_OUTCOME_SEMANTIC_HIT)
    return any(decision.cache.outcome in hits for decision in outcome.decisions)
