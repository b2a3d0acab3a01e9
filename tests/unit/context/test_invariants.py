"""Every promise of Fit, on generated conversations in the shapes of three providers; `make properties` runs more."""

from __future__ import annotations

import pytest

from bench.invariants.run import run_cases

CASES = 1_000


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_no_promise_is_broken():
    found = await run_cases(seed=20_261_124, count=CASES)
    assert found.cases == CASES
    assert found.examples == {}
    assert min(found.outcomes[outcome] for outcome in ("whole", "cut", "block", "too_long")) > CASES // 50
