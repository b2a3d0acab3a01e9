"""python -m bench.faults: plays sixteen faults of a provider to a real router and providers service.

Each is asked unary, as a stream that may restart, and as a stream that fails. `--upstream URL` puts a foreign server in
the place of the first upstream ({scenario} in it becomes S01 to S16); its own books are then not compared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.faults.play import MODES, line, play
from bench.faults.rig import up
from bench.score_faults import figures, verdict
from services.chassis.settings import environment
from services.simulator.scenarios import SCENARIOS


def main() -> None:
    """Play, show, score."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--only", default="", help="scenarios, for example S08,S11; empty: all")
    parser.add_argument("--topology", choices=("models", "endpoints"), default="models", help="what the second serves")
    parser.add_argument("--upstream", default="", help="base URL of a foreign server that misbehaves")
    parser.add_argument("--predictions", type=Path, help="keep a row per scenario and mode")
    asked = parser.parse_args()
    names = [name for name in asked.only.split(",") if name] or list(SCENARIOS)
    if unknown := sorted(set(names) - set(SCENARIOS)):
        parser.error(f"--only: there is no {', '.join(unknown)}")
    rows = asyncio.run(_played(names, asked.topology, asked.upstream))
    if asked.predictions:
        asked.predictions.write_text("".join(line(row) + "\n" for row in rows))
    _show(Console(width=None if sys.stdout.isatty() else 180), rows)
    print(json.dumps(figures(rows)))


async def _played(names: Sequence[str], topology: Any, upstream: str) -> list[dict[str, Any]]:  # noqa: ANN401
    with tempfile.TemporaryDirectory() as folder:
        every = [f"{name}-{mode}" for name in names for mode in MODES]
        async with up(every, topology, upstream, environment(), Path(folder)) as rig:
            rows = [await play(rig, name, mode) for name in names for mode in MODES]
    for row in rows:
        row["foreign"] = bool(upstream)
    return rows


def _show(console: Console, rows: Sequence[dict[str, Any]]) -> None:
    table = Table("", "what the first endpoint does", *MODES, "seconds", box=None)
    for name in dict.fromkeys(row["scenario"] for row in rows):
        mine = {row["mode"]: row for row in rows if row["scenario"] == name}
        said = [" ".join(filter(None, verdict(mine[mode]))) for mode in MODES]
        table.add_row(name, SCENARIOS[name].text, *said, " ".join(f"{mine[mode]['seconds']:.1f}" for mode in MODES))
    console.print(table)


if __name__ == "__main__":
    main()
