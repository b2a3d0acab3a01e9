"""python -m bench.context --data DIR: recall of evidence within 1,000 to 8,000 tokens; with --replay, cached share."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import score_context
from bench.context import table
from bench.context.data import read_conversations, read_questions
from bench.context.questions import run_questions
from bench.context.replay import run_replay
from bench.context.speed import run_speed

_NEEDED = ("conversations.jsonl", "questions.jsonl")


def main() -> None:
    """Run, score, print; the last line is one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m bench.context", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="conversations.jsonl and questions.jsonl")
    parser.add_argument("--replay", action="store_true", help="turn by turn, a question in every ten requests")
    parser.add_argument("--speed", action="store_true", help="CPU beside a bare echo, and cold answers; nothing else")
    parser.add_argument("--predictions", type=Path, help="keep the rows in this file")
    parser.add_argument("--ranks", type=Path, help="the directory of o200k_base.ranks.xz; beside the data by default")
    given = parser.parse_args()
    ranks = given.ranks or given.data.parent / "tiktoken"
    for file in (*(given.data / name for name in _NEEDED), ranks / "o200k_base.ranks.xz"):
        if not file.exists():
            print(f"bench.context: {file} is not there", file=sys.stderr)
            sys.exit(2)
    if given.speed:
        print(json.dumps({"speed": asyncio.run(run_speed(read_conversations(given.data / _NEEDED[0])))}))
        return
    with TemporaryDirectory() as scratch:
        rows = given.predictions or Path(scratch) / "rows.jsonl"
        with rows.open("w", encoding="utf-8") as out:
            asyncio.run(_run(given.data, replay=given.replay, write=lambda row: _write(out.write, row)))
        figures = score_context.figures(score_context.read(rows), given.data, ranks)
    table.show(figures)
    print(json.dumps(figures))


async def _run(data: Path, *, replay: bool, write: Callable[[dict[str, Any]], None]) -> None:
    conversations = read_conversations(data / "conversations.jsonl")
    questions = read_questions(data / "questions.jsonl")
    await (run_replay if replay else run_questions)(conversations, questions, write)


def _write(write: Callable[[str], int], row: dict[str, Any]) -> None:
    write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
