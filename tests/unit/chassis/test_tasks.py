"""What stops, stops in its order; one that fails keeps no other one from it."""

from __future__ import annotations

import pytest

from services.chassis.tasks import stopped


async def test_all_are_stopped_in_order_also_after_one_that_failed():
    order = []

    async def first() -> None:
        order.append("first")
        raise OSError("first")

    async def second() -> None:
        order.append("second")

    with pytest.raises(OSError, match="first"):
        await stopped(first, second)
    assert order == ["first", "second"]
