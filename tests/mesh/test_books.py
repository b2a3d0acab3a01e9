"""Whatever callers, models and faults do: six books say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.books.__main__ import run
from bench.books.compare import differences
from tests.mesh.harness import environment

pytestmark = pytest.mark.slow


@pytest.mark.timeout(120)
@pytest.mark.parametrize("restarts", [False, True])
async def test_six_books_say_the_same(state: Path, restarts: bool):
    books = await run(200, 58, state, environment(state), restarts=restarts)
    assert len(books.requests) > 150
    assert {row["purpose"] for row in books.attempts} >= {"answer", "judge"}
    assert differences(books) == []
