"""Keeps things running for a person: a mesh in one process, one of four, or the simulator alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from services.chassis.logs import Log, quieten_libraries
from services.chassis.run import settle_memory
from services.chassis.server import catch_signals
from services.chassis.settings import StartError, environment, unknown
from services.cli.client import ROUTER_VARIABLE, log_file
from services.providers import operator_file
from services.providers.endpoints import shipped
from services.providers.settings import ProvidersSettings
from services.router.learning.artefact_keeper import first_artefact
from services.router.policy import load_policies
from services.router.tasks.example_keeper import read_examples
from services.simulator.fleet import FleetError
from services.simulator.recorded import Recorded
from services.simulator.scenarios import SCENARIOS
from services.simulator.server import Simulator
from services.simulator.settings import SimulatorSettings
from services.together import one_process
from services.together.four_processes import FourProcesses

# The services name unknown variables under these themselves.
_PREFIXES = tuple(f"OMNISPHERE_{name}_" for name in ("ROUTER", "CACHE", "CONTEXT", "PROVIDERS", "SIMULATOR"))
# What `up --mesh` listens on where the environment does not say.
_USUAL_PORTS = {
    "ROUTER": ("50051", "9461"),
    "CACHE": ("50052", "9462"),
    "CONTEXT": ("50053", "9463"),
    "PROVIDERS": ("50054", "9464"),
}


async def up_one(console: Console, remote: Collection[str]) -> None:
    """One process, but for the services in `remote`; its log lines go to a file."""
    environ = environment()
    settings = one_process.load(environ)
    path = log_file(environ)
    with path.open("a", encoding="utf-8") as out:
        log = Log("omnisphere", level=settings.router.log_level, stream=out)
        quieten_libraries(log)
        mesh = one_process.OneProcess(settings, log, remote=remote)
        await mesh.start()
        where = {"router (gRPC)": f"{settings.router.host}:{mesh.port}"}
        if mesh.http_port:
            where["router (HTTP)"] = f"http://{settings.router.host}:{mesh.http_port}/v1"
        if mesh.metrics_port:
            where["metrics"] = f"http://{settings.router.host}:{mesh.metrics_port}/metrics"
        if mesh.simulator is not None:
            where["simulator"] = f"http://127.0.0.1:{mesh.simulator.port}"
        elsewhere = f", with {', '.join(sorted(remote))} elsewhere" if remote else ""
        settle_memory()
        asked_to_stop = catch_signals()
        _listening(console, f"one process{elsewhere}", where, path)
        await asked_to_stop.wait()
        console.print("draining")
        await mesh.stop()
        log.flush()


async def up_four(console: Console) -> None:
    """Four processes, and a simulator beside them where no real model can be asked."""
    environ = {**_usual_ports(), **environment()}
    settings = one_process.load(environ)
    logs = log_file(environ).parent
    mesh = FourProcesses(environ, logs=logs, simulator=one_process.wants_simulator(settings.providers))
    await mesh.start()
    try:
        where = {}
        for name, running in sorted(mesh.services.items()):
            where[f"{name} ({'HTTP' if name == 'simulator' else 'gRPC'})"] = f"127.0.0.1:{running.port}"
            if running.http_port:
                where[f"{name} (HTTP)"] = f"http://127.0.0.1:{running.http_port}/v1"
        asked_to_stop = catch_signals()
        _listening(console, "four processes", where, logs)
        await asked_to_stop.wait()
        console.print("draining")
    finally:
        await mesh.stop()


async def simulate(console: Console, settings: SimulatorSettings, outages: Sequence[str], model: str) -> None:
    """The simulator alone; the named `outages` meet the `model`. Raises StartError for names that nobody knows."""
    if unknown := sorted(set(outages) - set(SCENARIOS)):
        raise StartError(f"--fault: there is no {', '.join(unknown)}; known are {', '.join(SCENARIOS)}")
    simulator = Simulator()
    try:
        await simulator.start(settings)
    except FleetError as failure:
        raise StartError(str(failure)) from failure
    except OSError as failure:
        cause = os.strerror(failure.errno) if failure.errno else "it is not ours"
        raise StartError(f"port {settings.host}:{settings.port} cannot be opened: {cause}") from failure
    if model != "*" and model not in simulator.fleet:
        await simulator.stop()
        raise StartError(f"--model: there is no {model} in the fleet")
    for name in outages:
        for fault in SCENARIOS[name].faults:
            simulator.faults.add(replace(fault, model=model))
        console.print(f"{name}: {SCENARIOS[name].text}", highlight=False)
    if simulator.recorded is not None:
        console.print(_replayed(simulator.recorded), highlight=False)
    asked_to_stop = catch_signals()
    where = f"http://{settings.host}:{simulator.port}"
    console.print(f"{len(simulator.fleet)} simulated models at {where}/v1, books at {where}/books; Ctrl-C ends it")
    await asked_to_stop.wait()
    await simulator.stop()


def _replayed(recorded: Recorded) -> str:
    told = f"{recorded.name}: {len(recorded.prompts):,} recorded prompts; no other is answered"
    if recorded.fitted:
        told += f"; right in sum, not each, are the costs of {', '.join(sorted(recorded.fitted))}"
    return told


def check_all(console: Console, environ: Mapping[str, str]) -> None:
    """Validate everything; raises StartError with a line per problem."""
    problems = _unknown_variables(environ)
    settings = None
    try:
        settings = one_process.load(environ)
    except StartError as failure:
        problems.extend(str(failure).splitlines())
    if settings is not None:
        problems.extend(_wrong_files(settings))
    if problems:
        raise StartError("\n".join(problems))
    assert settings is not None  # noqa: S101 - else there was a problem
    keys = ", ".join(sorted(settings.providers.keys)) or "none"
    console.print(f"all settings are valid; keys found: {keys}", highlight=False)


def _unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """A line per variable of ours that no service reads; of those under a service's prefix the service tells itself."""
    known = one_process.variables() | {ROUTER_VARIABLE}
    names = (name for name in sorted(environ) if name.startswith("OMNISPHERE_") and not name.startswith(_PREFIXES))
    return [unknown(name, known) for name in names if name not in known]


def _wrong_files(settings: one_process.MeshSettings) -> list[str]:
    """A line per problem of the operator's files."""
    problems = []
    reads: Sequence[Callable[[], object]] = (
        lambda: load_policies(settings.router.routes),
        lambda: read_examples(settings.router.task_examples),
        lambda: first_artefact(settings.router.artefact),
        lambda: _open_verifier(settings.cache.verifier),
        lambda: _read_operator_file(settings.providers),
    )
    for read in reads:
        try:
            read()
        except StartError as failure:
            problems.extend(str(failure).splitlines())
    return problems


def _open_verifier(path: Path | None) -> None:
    """Whether there is one; what is in it, the cache says at its start."""
    try:
        if path is not None:
            path.open("rb").close()
    except OSError as failure:
        raise StartError(f"{path}: cannot be read: {failure.strerror}") from failure


def _read_operator_file(settings: ProvidersSettings) -> None:
    if settings.config is not None:
        operator_file.read(settings.config, shipped(), settings.needed_keys)


def _usual_ports() -> dict[str, str]:
    ports = {"OMNISPHERE_SIMULATOR_PORT": "9180", "OMNISPHERE_ROUTER_HTTP_PORT": "8088"}
    for name, (port, metrics_port) in _USUAL_PORTS.items():
        ports[f"OMNISPHERE_{name}_PORT"] = port
        ports[f"OMNISPHERE_{name}_METRICS_PORT"] = metrics_port
    return ports


def _listening(console: Console, title: str, where: Mapping[str, str], logs: Path) -> None:
    table = Table(box=None, show_header=False)
    for name, address in where.items():
        table.add_row(name, address)
    table.add_row("logs", str(logs))
    console.print(f"[bold]omnisphere is up[/bold] in {title}; Ctrl-C drains and ends it", highlight=False)
    console.print(table)
    with suppress(KeyError):
        console.print(f'try: omnisphere chat --router {where["router (gRPC)"]} "What is a mesh?"', highlight=False)
