"""Work off the event loop: a few at once, a bounded number waiting, the rest refused."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

import pytest

from services.chassis.errors import Overloaded
from services.chassis.executor import Executor


async def test_it_hands_back_what_the_function_returns_or_raises():
    executor = Executor(threads=1)
    assert await executor.run(divmod, 7, 2) == (3, 1)
    assert await executor.run(int, "ff", base=16) == 255
    with pytest.raises(ZeroDivisionError):
        await executor.run(divmod, 1, 0)
    executor.close()


async def test_it_runs_in_a_thread_of_its_own():
    executor = Executor(threads=1)
    assert await executor.run(threading.get_ident) != threading.get_ident()
    executor.close()


async def test_beyond_the_bound_work_is_refused_and_later_taken_again():
    executor, gate = Executor(threads=1, waiting=2), threading.Event()
    taken = [asyncio.create_task(executor.run(gate.wait)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as caught:
        await executor.run(gate.wait)
    assert (caught.value.metadata, caught.value.retry_after) == ({"queue": "executor"}, timedelta(seconds=1))
    gate.set()
    assert await asyncio.gather(*taken) == [True] * 3
    assert await executor.run(gate.wait)
    executor.close()


async def test_a_failure_gives_its_place_back():
    executor = Executor(threads=1, waiting=0)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await executor.run(divmod, 1, 0)
    executor.close()
