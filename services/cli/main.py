"""The `omnisphere` command: its subcommands and their options."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import uvloop
from rich.console import Console

from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import ServiceError
from services.chassis.server_settings import MOST_PORT
from services.chassis.settings import StartError, environment
from services.cli import show
from services.cli import usage as figures
from services.cli.client import ROUTER_VARIABLE, answers, conversation, reached
from services.router import settings as router_settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
# A pipe or a file has no width of its own; wrapped tables are of no use there.
_WIDTH = None if sys.stdout.isatty() else 180
console = Console(width=_WIDTH, soft_wrap=True)
errors = Console(stderr=True, soft_wrap=True)

_LOCAL = "127.0.0.1:50051"
Router = Annotated[str, typer.Option("--router", envvar=ROUTER_VARIABLE, help="host:port of a running router")]
ModelName = Annotated[str, typer.Option("--model", help="an alias or a concrete id; empty: the policy chooses")]
PolicyName = Annotated[str, typer.Option("--policy", help="a policy of routes.toml")]
Hint = Annotated[str, typer.Option("--task", help="the task type; empty: found from the prompt")]


@app.command()
def up(
    mesh: Annotated[bool, typer.Option("--mesh", help="four processes instead of one")] = False,
    remote: Annotated[
        str, typer.Option("--remote", help="services that run elsewhere, for example cache (OMNISPHERE_ROUTER_CACHE)")
    ] = "",
) -> None:
    """Keep a mesh running; Ctrl-C drains and ends it."""
    from services.cli.up import up_four, up_one

    names = [name.strip() for name in remote.split(",") if name.strip()]
    if mesh and names:
        _fail(StartError("--remote: not together with --mesh"))
    _run(up_four(console) if mesh else up_one(console, names))


@app.command()
def chat(
    text: Annotated[str, typer.Argument(help="the question; - reads standard input")],
    model: ModelName = "",
    policy: PolicyName = "",
    task: Hint = "",
    system: Annotated[str, typer.Option("--system", help="instructions before the question")] = "",
    router: Router = _LOCAL,
) -> None:
    """Ask a question; the answer streams, then one line says what was decided."""
    _run(_chat(_read(text), system, model, pb.RequestOptions(policy=policy, task_hint=task), router))


@app.command()
def explain(
    text: Annotated[str, typer.Argument(help="the question; - reads standard input")],
    model: ModelName = "",
    policy: PolicyName = "",
    task: Hint = "",
    router: Router = _LOCAL,
) -> None:
    """Say what would be done with a question, without asking a model."""
    _run(_explain(_read(text), model, pb.RequestOptions(policy=policy, task_hint=task), router))


@app.command()
def models(
    every: Annotated[bool, typer.Option("--all", help="also those that nobody serves here")] = False,
    router: Router = _LOCAL,
) -> None:
    """List the models that can be asked, with their prices."""
    _run(_models(every, router))


@app.command()
def usage(
    by: Annotated[
        list[str] | None, typer.Option("--by", help="model, task, day or tenant; several: repeated, or with commas")
    ] = None,
    since: Annotated[str, typer.Option("--since", help="from then on: a date, an ISO moment, or 7d (ago); UTC")] = "",
    until: Annotated[str, typer.Option("--until", help="before then")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="one object a line; money in nano-dollars")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="the same fields under a line of their names")] = False,
    router: Router = _LOCAL,
) -> None:
    """Show what was used, what it cost, and what cache and routing saved, as far as that can be estimated."""
    if as_json and as_csv:
        _fail(StartError("--json: not together with --csv"))
    _run(_usage(by or [], (since, until), "json" if as_json else "csv" if as_csv else "table", router))


@app.command()
def simulate(
    port: Annotated[int, typer.Option("--port", min=0, max=MOST_PORT, help="0 takes a free one")] = 9180,
    latency_scale: Annotated[float, typer.Option("--latency-scale", min=0, help="0: answers at once")] = 1.0,
    fleet: Annotated[Path | None, typer.Option("--fleet", help="a fleet.toml of your own")] = None,
    replay_outcomes: Annotated[
        Path | None,
        typer.Option("--replay-outcomes", help="a folder of recorded outcomes: their models, their answers"),
    ] = None,
    replay_set: Annotated[str, typer.Option("--set", help="which set of that folder; empty: the only one")] = "",
    fault: Annotated[list[str] | None, typer.Option("--fault", help="an outage to rehearse, S01 to S16")] = None,
    model: Annotated[str, typer.Option("--model", help="the model that it meets; *: every one")] = "*",
) -> None:
    """Run a fleet of simulated or recorded models, good or with an outage; `omnisphere faults` lists the outages."""
    from services.cli.up import simulate as run_simulator
    from services.simulator.settings import SimulatorSettings

    if fleet is not None and replay_outcomes is not None:
        _fail(StartError("--replay-outcomes: not together with --fleet"))
    settings = SimulatorSettings(
        port=port,
        latency_scale=latency_scale,
        fleet=fleet,
        replay_outcomes=replay_outcomes,
        replay_set=replay_set,
    )
    _run(run_simulator(console, settings, fault or [], model))


@app.command()
def faults() -> None:
    """List the outages that `omnisphere simulate --fault` rehearses."""
    from services.simulator.scenarios import SCENARIOS

    for name, scenario in SCENARIOS.items():
        console.print(f"{name}  {scenario.text}", highlight=False)


@app.command()
def train(
    files: Annotated[list[Path], typer.Argument(help="recorded outcomes: .jsonl or .parquet")],
    out: Annotated[Path, typer.Option("--out", help="the artefact; one that is better stays")],
    tiers: Annotated[bool, typer.Option("--tiers", help="learn tiers instead of models, as the shipped one")] = False,
    terms: Annotated[int, typer.Option("--terms", help="so many terms at most; 0: 30,000")] = 0,
    force: Annotated[bool, typer.Option("--force", help="write it even where it is worse")] = False,
) -> None:
    """Fit the router's quality predictor to recorded outcomes."""
    from services.cli.train import told, train_files

    try:
        artefact, size = train_files(files, out, tiers=tiers, terms=terms or None, force=force)
    except StartError as failure:
        _fail(failure)
    for line in told(artefact, size, out):
        console.print(line, markup=False, highlight=False)


@app.command()
def demo() -> None:
    """Start four services and a simulator, send a workload through them, and check what comes back."""
    from services.cli.demo import run_demo

    sys.exit(uvloop.run(run_demo(console, environment())))


context = typer.Typer(no_args_is_help=True)
app.add_typer(context, name="context")


@context.callback()
def _context() -> None:
    """What the context service does, shown for one conversation."""


@context.command("fit")
def context_fit(
    file: Annotated[Path, typer.Argument(help="JSON: the body of a chat completion, or the list of its messages")],
    model: Annotated[str, typer.Option("--model", help="an alias or a concrete id of the catalogue")],
    window: Annotated[int, typer.Option("--window", help="the model's window in tokens; 0: as in the catalogue")] = 0,
    router: Router = _LOCAL,
) -> None:
    """Show what of a conversation the model would see: what is kept, fetched and cut, and why."""
    from services.cli.context import fit

    _run(fit(console, file, model, window, router, environment()))


@app.command()
def check() -> None:
    """Validate the settings and files of all services without starting anything."""
    from services.cli.up import check_all

    try:
        check_all(console, environment())
    except StartError as failure:
        _fail(failure)


def _say_version(wanted: bool) -> None:
    if wanted:
        console.print(f"omnisphere {installed_version('omnisphere')}", highlight=False)
        raise typer.Exit


@app.callback()
def _omnisphere(
    _: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="say which one this is, and exit")
    ] = False,
) -> None:
    """The coordination layer between applications and language models."""


def main() -> None:
    """Entry point."""
    app()


async def _chat(text: str, system: str, model: str, options: pb.RequestOptions, router: str) -> None:
    started = time.monotonic()
    async with reached(router, environment()) as (stub, own):
        _say_own(own)
        request = pb.StreamCompleteRequest(
            conversation=conversation(text, system),
            model=model,
            options=options,
            on_interruption=pb.ON_INTERRUPTION_RESTART,
        )
        async for event in stub.StreamComplete(request):
            match event.WhichOneof("event"):
                case "delta":
                    for part in event.delta.parts:
                        console.print(part.text or part.refusal, end="", markup=False, highlight=False)
                case "restart":
                    console.print("\n[yellow]the answer broke off; another one follows[/yellow]")
                case "end":
                    console.print()
                    if event.end.decision.model:
                        show.decision_line(console, event.end.decision, time.monotonic() - started)


async def _explain(text: str, model: str, options: pb.RequestOptions, router: str) -> None:
    async with reached(router, environment()) as (stub, own):
        _say_own(own)
        request = pb.ExplainRequest(conversation=conversation(text), model=model, options=options)
        show.explanation(console, (await stub.Explain(request)).decision)


async def _models(every: bool, router: str) -> None:
    async with reached(router, environment()) as (stub, own):
        _say_own(own)
        response = await stub.ListModels(pb.ListModelsRequest(include_uncallable=every))
        show.models_table(console, list(response.models))


async def _usage(by: list[str], bounds: tuple[str, str], form: str, router: str) -> None:
    groups = figures.read_groupings(by)
    request = figures.question(groups, since=bounds[0], until=bounds[1], now=datetime.now(UTC))
    rows = await _recorded(request, router)
    match form:
        case "json":
            sys.stdout.write(figures.as_json(rows, groups))
        case "csv":
            sys.stdout.write(figures.as_csv(rows, groups))
        case _:
            figures.print_table(console, rows, groups, title=figures.title_of(request))


async def _recorded(request: pb.GetUsageRequest, router: str) -> list[pb.UsageRow]:
    """The rows of the router at that address; where there is none, those of the file that one left on this machine."""
    environ = environment()
    if not await answers(router):
        file = router_settings.load(environ).ledger_file()
        if not file.exists():
            errors.print(f"[dim]no router at {router}, and nothing is recorded in {file}[/dim]", highlight=False)
            return []
        errors.print(f"[dim]no router at {router}; this is what is recorded in {file}[/dim]", highlight=False)
        # It is started for its books alone: no model is looked for.
        books = {"OMNISPHERE_SIMULATOR": "on", "OMNISPHERE_DISCOVER": "off", "OMNISPHERE_ROUTER_LEDGER": "on"}
        environ = {**environ, **books}
    async with reached(router, environ) as (stub, _):
        return list((await stub.GetUsage(request)).rows)


def _say_own(own: bool) -> None:
    if own:
        errors.print(
            "[dim]no router is running; one is started for this call (`omnisphere up` keeps one)[/dim]", highlight=False
        )


def _read(text: str) -> str:
    """The question; one of nothing is no question, but would be paid for."""
    try:
        said = sys.stdin.buffer.read().decode() if text == "-" else text
        said.encode()
    except UnicodeError:
        _fail(StartError("the question is not UTF-8"))
    if not said.strip():
        _fail(StartError("the question is empty"))
    return said


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run it; errors become one line and an exit code."""
    try:
        uvloop.run(work)
    except ServiceError as failure:
        show.failure(errors, failure)
        sys.exit(1)
    except StartError as failure:
        _fail(failure)
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)


def _fail(failure: StartError) -> NoReturn:
    for line in str(failure).splitlines():
        errors.print(line, markup=False, highlight=False)
    sys.exit(2)


if __name__ == "__main__":
    main()
