"""A call that nobody waits for any more: the connection is hung up, and what may be billed is booked."""

from __future__ import annotations

import asyncio
import gc

import pytest
from aiohttp import web

from tests.unit.providers.answers import (
    STREAM,
    begun,
    event,
    hold_after,
    pieces,
)
from tests.unit.providers.calls import streamed
from tests.unit.providers.conftest import MakeRig, ScriptedProvider
from tests.unit.providers.samples import generation


@pytest.mark.parametrize("sent", [(), (event("hel"),)])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_is_cancelled_hangs_up_and_is_booked(
    provider: ScriptedProvider, rig: MakeRig, stream: bool, sent: tuple[bytes, ...]
):
    provider.answer = hold_after(*sent)
    made = rig()
    task = asyncio.ensure_future(streamed(made.caller) if stream else made.caller.generate(generation()))
    async with asyncio.timeout(2):
        await provider.received.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await provider.hung_up.wait()
    assert made.booked() == {"cancelled": 1}
    assert made.cost("estimated") > 0  # the provider may bill it


async def test_a_stream_that_is_left_hangs_up_and_what_came_is_booked(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = hold_after(event("12345678"))
    made = rig()
    responses = made.caller.stream(generation())
    assert (await anext(responses)).delta.parts[0].text == "12345678"
    await responses.aclose()
    async with asyncio.timeout(2):
        await provider.hung_up.wait()
    assert made.booked() == {"cancelled": 1}
    assert (
        made.figure("omnisphere_providers_tokens_total", model="m", **{"class": "output", "source": "estimated"}) == 2
    )
    gc.collect()  # an async generator that was not closed would be heard of here


async def test_a_stream_that_is_left_at_its_end_is_booked_once(provider: ScriptedProvider, rig: MakeRig):
    provider.answer = pieces(*STREAM)
    made = rig()
    responses = made.caller.stream(generation())
    while not (await anext(responses)).HasField("end"):
        pass
    await responses.aclose()
    assert made.booked() == {"ok": 1}


async def test_a_stream_that_nobody_reads_is_never_sent(provider: ScriptedProvider, rig: MakeRig):
    made = rig()
    await made.caller.stream(generation()).aclose()
    assert provider.requests == []
    assert made.booked() == {}


async def test_a_deadline_ends_an_answer_that_drips(provider: ScriptedProvider, rig: MakeRig):
    async def drip(request: web.Request) -> web.StreamResponse:
        response = await begun(request)
        while True:
            await response.write(b": \n")
            await asyncio.sleep(0.01)

    provider.answer = drip
    made = rig()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await streamed(made.caller)
    assert made.booked() == {"cancelled": 1}
    async with asyncio.timeout(2):
        await provider.hung_up.wait()
