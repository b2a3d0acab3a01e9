"""python -m bench.invariants --cases N: how often is a promise of Fit broken? With --peers also by other trimmers."""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

from bench.invariants.peers import run_peers
from bench.invariants.run import run_cases


def main() -> None:
    """Run, print; the last line is one JSON object. Exit code 1 when a promise was broken: this is a test as well."""
    parser = argparse.ArgumentParser(prog="python -m bench.invariants", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--peers", type=int, default=0, help="how many cases LiteLLM and LangChain trim beside it")
    parser.add_argument("--peers-dir", type=Path, default=Path(".venv/peers-context"), help="their environment")
    given = parser.parse_args()
    found = asyncio.run(run_cases(given.seed, given.cases))
    figures: dict[str, Any] = {"omnisphere": found.figures()}
    if given.peers:
        figures |= run_peers(given.seed, given.peers, given.peers_dir)
    for name, values in figures.items():
        print(f"{name:>36}: {values['cases']:,} cases, {values['violations']:,} violations  {values['broken']}")
    print(json.dumps(figures))
    raise SystemExit(1 if figures["omnisphere"]["violations"] else 0)


if __name__ == "__main__":
    main()
