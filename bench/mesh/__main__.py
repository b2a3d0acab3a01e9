"""python -m bench.mesh: how fast is Omnisphere, beside a bare echo, the upstream itself, and other gateways?

It needs h2load (Debian: nghttp2-client), a C compiler and ../shared/tools/mock_openai.c beside the checkout, or --mock.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import uvloop
from rich.console import Console

from bench import score_mesh
from bench.mesh import load, paths, peers, relay, starts, upstream
from bench.mesh.paths import Row, Size
from bench.mesh.processes import BenchError, Servers
from bench.mesh.rig import Upstreams, everything, one_process, upstreams
from bench.mesh.table import show
from services.chassis.settings import StartError, environment

_CHECKOUT = Path(__file__).resolve().parents[2]
_PARTS = ("start", "hit", "miss", "stream", "providers", "http", "peers")


def _arguments(base: Mapping[str, str]) -> argparse.Namespace:
    cache = Path(base.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "omnisphere" / "bench-peers"
    beside = _CHECKOUT.parent / "shared" / "tools" / "mock_openai.c"
    parser = argparse.ArgumentParser(prog="python -m bench.mesh", description=__doc__)
    parser.add_argument("--mock", type=Path, default=beside, help="the upstream's source (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of one window (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="windows of each (default: %(default)s)")
    parser.add_argument("--only", default="", help=f"some of {','.join(_PARTS)} (default: all but peers)")
    parser.add_argument(
        "--peers", action="store_true", help="also LiteLLM, Portkey and TensorZero, installed on demand"
    )
    parser.add_argument("--peers-dir", type=Path, default=cache, help="where they are kept (default: %(default)s)")
    parser.add_argument("--predictions", type=Path, help="a file for the rows, one JSON object per window")
    arguments = parser.parse_args()
    wanted = set(filter(None, arguments.only.split(","))) or set(_PARTS) - {"peers"}
    if unknown := wanted - set(_PARTS):
        parser.error(f"--only knows no {', '.join(sorted(unknown))}; it knows {', '.join(_PARTS)}")
    if arguments.rounds < 1 or arguments.seconds <= 0:
        parser.error("--rounds and --seconds must be above 0")
    arguments.parts = wanted | ({"peers"} if arguments.peers else set())
    return arguments


def _missing(arguments: argparse.Namespace) -> str:
    """What this machine lacks, in one line."""
    if not load.available():
        return "h2load is not installed (Debian: apt-get install nghttp2-client)"
    if upstream.compiler() is None:
        return "no C compiler: the upstream cannot be built (Debian: apt-get install gcc)"
    if not arguments.mock.is_file():
        return f"{arguments.mock} is not there; --mock PATH names the upstream's source"
    return ""


class _Rows:
    """All rows of the run, in a file as they come where one is wanted."""

    def __init__(self, path: Path | None, console: Console) -> None:
        self.rows: list[Row] = []
        self._path, self._console = path, console
        if path is not None:
            path.write_text("")

    def take(self, found: Iterator[Row | str] | Iterator[Row]) -> None:
        """Keep rows; say lines."""
        for item in found:
            if isinstance(item, str):
                self._console.print(item, highlight=False, markup=False)
                continue
            self.rows.append(item)
            if self._path is not None:
                with self._path.open("a") as out:
                    out.write(json.dumps(item) + "\n")


async def _measure(arguments: argparse.Namespace, base: Mapping[str, str], rows: _Rows) -> None:
    size, parts = Size(arguments.seconds, arguments.rounds), arguments.parts
    servers = Servers()
    try:
        if "start" in parts:
            rows.take(iter(await starts.four_services(arguments.rounds)))
        behind = upstreams(servers, arguments.mock, base)
        if "start" in parts:
            rows.take(iter([await starts.one_process(servers, base, behind, arguments.rounds)]))
        measures = {"hit": paths.hit, "miss": paths.miss, "stream": paths.stream, "providers": paths.providers}
        if parts & measures.keys():
            async with everything(servers, base, behind) as rig:
                for part, measured in measures.items():
                    if part in parts:
                        rows.take(measured(rig, size))
                if "providers" in parts:
                    rows.take(await relay.relayed(rig.providers, size.rounds))
        if parts & {"http", "peers"}:
            _http(arguments, base, rows, servers, behind)
    finally:
        servers.close()


def _http(
    arguments: argparse.Namespace, base: Mapping[str, str], rows: _Rows, servers: Servers, behind: Upstreams
) -> None:
    size = Size(arguments.seconds, arguments.rounds)
    edge = one_process(servers, base, behind, "edge")
    if "http" in arguments.parts:
        rows.take(paths.http(edge, behind.at_once, size))
    if "peers" in arguments.parts:
        rows.take(peers.measured(servers, base, arguments.peers_dir, edge, behind.at_once, size))


def _commit() -> str:
    ran = subprocess.run(
        ["git", "-C", str(_CHECKOUT), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    )
    return ran.stdout.strip() or "no commit"


def main() -> None:
    """Measure, print a table, and as the last line one JSON object."""
    base = environment()
    arguments = _arguments(base)
    if lack := _missing(arguments):
        print(lack)
        sys.exit(2)
    for number in (signal.SIGINT, signal.SIGTERM):  # at once and in order: else servers would stay
        signal.signal(number, lambda got, _frame: sys.exit(128 + got))
    console = Console(width=120)
    rows = _Rows(arguments.predictions, console)
    try:
        uvloop.run(_measure(arguments, base, rows))
    except (BenchError, StartError) as failure:
        print(failure, file=sys.stderr)
        sys.exit(1)
    told = score_mesh.figures(rows.rows)
    show(console, rows.rows, told)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}, commit {_commit()}, {arguments.rounds} x {arguments.seconds:g} s")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
