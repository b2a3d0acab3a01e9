"""What the demo prints: the mesh, a table of requests, totals beside the reference model, and checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from omnisphere.router.v1 import router_service_pb2 as pb
from services.cli import show
from services.cli import usage as figures
from services.cli.send import Outcome
from services.together.four_processes import Running


def started(console: Console, services: Mapping[str, Running], seconds: float) -> None:
    """Which processes run, and where."""
    console.print(f"[bold]The mesh stands[/bold] after {seconds:.1f} s, as {len(services)} processes:", highlight=False)
    table = Table(box=None, show_header=False)
    for name in ("router", "cache", "context", "providers", "simulator"):
        table.add_row(f"  {name}", f"127.0.0.1:{services[name].port}", f"pid {services[name].process.pid}")
    console.print(table)


def requests(console: Console, outcomes: Sequence[Outcome]) -> None:
    """One row per request."""
    table = Table(
        title="Requests (simulated models)", title_justify="left", box=None, header_style="bold", padding=(0, 1, 0, 0)
    )
    # On a narrow terminal words are cut, figures are not.
    for name in ("kind", "task", "model", "cache"):
        table.add_column(name, no_wrap=True)
    for name, width in (("answer", 7), ("tokens", 9), ("cost", 9), ("ms", 4), ("attempts", 8)):
        table.add_column(name, no_wrap=True, min_width=width, justify="left" if name == "answer" else "right")
    for outcome in outcomes:
        table.add_row(outcome.step.kind.replace("_", " "), *_cells(outcome))
    console.print()
    console.print(table)


def totals(console: Console, routed: Sequence[Outcome], reference: Sequence[Outcome]) -> None:
    """The workload as it was routed, beside the same workload sent to the reference model alone."""
    answered = [outcome for outcome in routed if outcome.step.kind != "bad"]
    name = reference[0].decisions[-1].model
    table = Table(title="Totals (every figure is simulated)", title_justify="left", box=None, header_style="bold")
    table.add_column("")
    for column in ("requests", "right", "cost", "per 1,000 requests", "median ms"):
        table.add_column(column, justify="right")
    table.add_row("routed", *_sums(answered))
    table.add_row(f"always {name}", *_sums(reference))
    console.print()
    console.print(table)
    spent, dear = _cost(answered), _cost(reference)
    decisions = [decision for outcome in answered for decision in outcome.decisions]
    from_cache = show.money(sum(decision.savings.cache_nanousd for decision in decisions))
    change = _right(answered) / len(answered) - _right(reference) / len(reference)
    console.print(
        f"[bold]{1 - spent / dear:.0%} less[/bold] than always {name},",
        f"with {change * 100:+.1f} points of right answers;",
        f"answers worth {from_cache} came from the cache.",
        highlight=False,
    )


def strategies(
    console: Console,
    by_policy: Mapping[str, Sequence[Outcome]],
    reference: Sequence[Outcome],
    learned: Sequence[Outcome],
    rated: int,
) -> None:
    """The workload by each strategy, without the cache, beside always asking the dearest model."""
    title = "Strategies side by side, without the cache (every figure is simulated)"
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    table.add_column("")
    for column in ("right", "cost", "saved", "points", "escalations", "median ms"):
        table.add_column(column, justify="right")
    dear, best = _cost(reference), _right(reference) / len(reference)
    named = {
        **by_policy,
        f"auto, after {rated} outcomes": learned,
        f"always {reference[0].decisions[-1].model}": reference,
    }
    for name, outcomes in named.items():
        right = _right(outcomes) / len(outcomes)
        escalations = sum(decision.escalations for outcome in outcomes for decision in outcome.decisions)
        table.add_row(
            name,
            f"{right:.0%}",
            show.money(_cost(outcomes)),
            f"{1 - _cost(outcomes) / dear:.0%}",
            f"{100 * (right - best):+.1f}",
            str(escalations),
            _ms(median(outcome.seconds for outcome in outcomes)),
        )
    console.print()
    console.print(table)
    console.print(
        "cost_aware and cascade go by what recorded outcomes of other models say of each tier; the outcomes that auto",
        "learned from are those of the rows above, on the same questions.",
        highlight=False,
    )


def usage(console: Console, rows: Sequence[pb.UsageRow]) -> None:
    """What the router's ledger says of the same requests."""
    console.print()
    title = "omnisphere usage --by model: the routed requests and their tool rounds (simulated)"
    figures.print_table(console, rows, ["model"], title=title)


def checks(console: Console, results: Sequence[tuple[str, str]]) -> None:
    """What must hold, and whether it does."""
    console.print()
    for text, problem in results:
        mark = f"[red]✗[/red] {text}: [red]{problem}[/red]" if problem else f"[green]✓[/green] {text}"
        console.print(mark, highlight=False)


def _cells(outcome: Outcome) -> list[str]:
    if outcome.refused is not None:
        return ["", "", "", "[yellow]refused[/yellow]", "", "", _ms(outcome.seconds), "0"]
    last = outcome.decisions[-1]
    pairs = [show.tokens(decision.usage) for decision in outcome.decisions]
    attempts = sum(len(decision.attempts) for decision in outcome.decisions)
    hit = "hit" in (said := show.cache_outcome(last))
    return [
        last.task_type.replace("_", " "),
        last.model,
        f"[green]{said}[/green]" if hit else said,
        "[green]right[/green]" if outcome.right else "[red]wrong[/red]",
        f"{sum(pair[0] for pair in pairs)} + {sum(pair[1] for pair in pairs)}",
        show.money(sum(decision.cost.nanousd for decision in outcome.decisions)),
        _ms(outcome.seconds),
        str(attempts),
    ]


def _sums(outcomes: Sequence[Outcome]) -> list[str]:
    spent, right = _cost(outcomes), _right(outcomes)
    return [
        str(len(outcomes)),
        f"{right} ({right / len(outcomes):.0%})",
        show.money(spent),
        show.money(spent * 1000 // len(outcomes)),
        _ms(median(outcome.seconds for outcome in outcomes)),
    ]


def _cost(outcomes: Sequence[Outcome]) -> int:
    return sum(decision.cost.nanousd for outcome in outcomes for decision in outcome.decisions)


def _right(outcomes: Sequence[Outcome]) -> int:
    return sum(outcome.right for outcome in outcomes)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"
