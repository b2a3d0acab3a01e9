"""Every wire format against recorded traffic of real providers: the bench's own run, judged by the bench's own scorer.

The recordings lie beside a checkout and not in it; without them these tests are skipped.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import pytest

from bench import score_wire
from bench.wire.__main__ import asked
from bench.wire.records import read
from bench.wire.rig import KEY, serving
from tests.contract.recordings import RECORDINGS, SHARED

pytestmark = [
    pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings beside this checkout"),
    pytest.mark.slow,
    pytest.mark.timeout(120),
]
# What is expected of these is not what they say.
OTHERWISE = {
    "anthropic-messages-63a0a90c-0": "an answer of nothing, which four faults want told as an error",
    "openai-chat-740befed-0": "no finish word came; an answer that has a call waits for its result",
    "openai-chat-945f03ee-0": "2,161 of 2,168 tokens both read from and written into a cache; a token is in one class",
    "openai-responses-3128b0af-0~cut_clean": "cut after its terminal event: it is whole",
}


@dataclass(frozen=True)
class Run:
    """Every recording, asked once."""

    rows: dict[str, Any]
    figures: dict[str, Any]
    log: str


@pytest.fixture(scope="module")
async def run() -> Run:
    records = list(read(RECORDINGS))
    with serving(records, SHARED / "tools" / "replay.py", RECORDINGS) as service:
        rows = {row["id"]: row for row in await asked(records, service.port, at_once=8)}
        await asyncio.sleep(1)  # the ledger's last lines
        log = service.log.read_text()
    return Run(rows, score_wire.figures(score_wire.expectations(RECORDINGS), rows), log)


async def test_every_exchange_is_read_as_it_was_meant(run: Run) -> None:
    wrong = {name: found for name, found in run.figures["wrong"].items() if name not in OTHERWISE}
    assert not wrong, "\n".join(f"{name}: {found}" for name, found in wrong.items())


async def test_no_fault_brings_the_key_or_a_prompt_into_a_log_or_a_status(run: Run) -> None:
    assert "attempt" in run.log
    assert KEY not in run.log
    assert not any(KEY in json.dumps(row) for row in run.rows.values())
    spoken = [row["text"] for row in run.rows.values() if len(row["text"]) > 40]
    assert not any(json.dumps(said)[1:-1] in run.log for said in spoken)
