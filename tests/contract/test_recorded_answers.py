"""Every wire format against recorded traffic of real providers: the bench's own run, judged by the bench's own scorer.

The recordings lie beside a checkout and not in it; without them these tests are skipped.
"""

from __future__ import annotations

from typing import Any

import pytest

from bench import score_wire
from bench.wire.__main__ import asked
from bench.wire.records import read
from bench.wire.rig import serving
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
    "openai-responses-3128b0af-0~cut_clean": "cut after its terminal event: it is whole",
}


@pytest.fixture(scope="module")
async def figures() -> Any:
    records = list(read(RECORDINGS))
    with serving(records, SHARED / "tools" / "replay.py", RECORDINGS) as port:
        rows = await asked(records, port, at_once=8)
    return score_wire.figures(score_wire.expectations(RECORDINGS), {row["id"]: row for row in rows})


async def test_every_exchange_is_read_as_it_was_meant(figures: Any) -> None:
    wrong = {name: found for name, found in figures["wrong"].items() if name not in OTHERWISE}
    assert not wrong, "\n".join(f"{name}: {found}" for name, found in wrong.items())


async def test_parts_of_a_total_are_bounded_by_it_where_a_vendor_reports_more(figures: Any) -> None:
    """Grok at Azure reports more cached tokens than tokens."""
    assert all(name.startswith("openai-chat-") for name in figures["impossible"])
    assert len(figures["impossible"]) < 0.02 * figures["recorded"]["total"]
