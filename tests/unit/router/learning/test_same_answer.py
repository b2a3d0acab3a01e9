"""Do two answers say the same? Sure where it speaks, silent in between."""

from __future__ import annotations

import pytest

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from services.router.learning.same_answer import agreement

RIGHT, WRONG, UNKNOWN = (
    cache_pb.ReportHitRequest.VERDICT_RIGHT,
    cache_pb.ReportHitRequest.VERDICT_WRONG,
    cache_pb.ReportHitRequest.VERDICT_UNKNOWN,
)


@pytest.mark.parametrize(
    ("kept", "fresh", "verdict"),
    [
        ("Paris.", "paris", RIGHT),
        ("Open the settings, then choose Reset password.", "Choose 'Reset password' in the settings; open it.", RIGHT),
        ("The answer is 42.", "The answer is 41.", WRONG),
        ("Yes, it is allowed.", "No, it is allowed.", WRONG),
        ("Whales eat krill and small fish.", "Descale the kettle with vinegar.", WRONG),
        ("Boil water with vinegar and rinse twice.", "Boil vinegar, wait, then wash it out well.", UNKNOWN),
        ("", "Something.", UNKNOWN),
        ("", "", RIGHT),
    ],
)
def test_two_answers_are_compared_either_way_round(kept: str, fresh: str, verdict: int):
    assert agreement(kept, fresh) == verdict
    assert agreement(fresh, kept) == verdict
