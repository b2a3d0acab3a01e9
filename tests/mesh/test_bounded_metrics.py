"""Whatever callers make up, the number of series stays small: tenants, models, hints, methods, request ids."""

from __future__ import annotations

import asyncio
import random
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest

from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import ServiceError
from tests.mesh.harness import Mesh, asking, connected, started
from tests.mesh.metric_pages import metric_pages, samples_of

pytestmark = pytest.mark.slow
_CALLERS = 2_000
_MOST_SERIES = 2_000
_AT_ONCE = 32


async def _call(mesh: Mesh, number: int, known: Sequence[str], chance: random.Random) -> None:
    """One caller with names that nobody has used before; what becomes of the call is all the same."""
    word = f"zz{number}" + "".join(chance.choices(string.ascii_lowercase, k=8))
    if number % 4 == 0:
        unknown: Any = mesh.channel.unary_unary(f"/omnisphere.router.v1.RouterService/{word}")
        with pytest.raises(grpc.aio.AioRpcError):
            await unknown(b"", timeout=10)
        return
    model = (word, chance.choice(known), "")[number % 4 - 1]
    inline = f'strategy = "cost_aware"\nreference_model = "claude-opus"\ndefault_task = "{word}"'
    request = pb.CompleteRequest(conversation=asking(f"Translate {word} into {word}."), model=model)
    if number % 16 == 7:
        request.conversation.CopyFrom(asking(f"{word}?"))  # no word of it says a task
    request.options.task_hint = word
    request.options.request_id = word
    request.options.policy = word if number % 16 == 3 else ""
    request.options.inline_policy = inline if number % 16 == 7 else ""
    try:
        await mesh.call(mesh.router.Complete, request, tenant=word)
    except ServiceError:
        assert request.model or request.options.policy


@pytest.mark.timeout(60)
async def test_two_thousand_callers_make_fewer_than_two_thousand_series_and_none_of_their_own(state: Path):
    chance = random.Random(58)
    async with started(state) as running, connected(running) as mesh:
        listed = await mesh.call(mesh.router.ListModels, pb.ListModelsRequest())
        known = [model.id for model in listed.models]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def caller(number: int) -> None:
            async with gate:
                await _call(mesh, number, known, chance)

        await asyncio.gather(*(caller(number) for number in range(_CALLERS)))
        samples = samples_of((await metric_pages(running)).values())
    assert sum(s.value for s in samples if s.name == "omnisphere_router_requests_total") >= _CALLERS / 2
    (others,) = (s for s in samples if s.name.endswith("call_started_total") and s.labels["method"] == "other")
    assert others.value == _CALLERS / 4
    assert len(samples) < _MOST_SERIES, f"{len(samples)} series"
    said = {value for sample in samples for value in sample.labels.values()}
    assert not [value for value in said if value.startswith("zz")]
    print(f"{len(samples)} series after {_CALLERS} callers")
