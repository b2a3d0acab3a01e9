"""What a call came to: the text of a stream, the failure and the attempt that it carries."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as pb
from services.chassis.errors import (
    ServiceError,
)
from services.providers.call import Caller
from tests.unit.providers.samples import CANARY, generation

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def streamed(caller: Caller, asked: pb.Generation | None = None) -> tuple[str, pb.GenerationEnd]:
    """(text, end) of a streamed answer."""
    said, ends = "", []
    async for response in caller.stream(asked or generation()):
        if response.HasField("end"):
            ends.append(response.end)
        said += "".join(part.text for part in response.delta.parts)
    assert len(ends) == 1
    return said, ends[0]


async def failed(
    caller: Caller, *, stream: bool, asked: pb.Generation | None = None, handed_out: asyncio.Event | None = None
) -> tuple[ServiceError, str]:
    """(error, the text that was handed out before it). `handed_out` is set with the first of that text."""
    said: list[str] = []

    async def call() -> None:
        if not stream:
            await caller.generate(asked or generation())
        async for response in caller.stream(asked or generation()):
            assert not response.HasField("end")
            said.extend(part.text for part in response.delta.parts)
            if handed_out:
                handed_out.set()

    with pytest.raises(ServiceError) as failure:
        await call()
    assert CANARY not in "".join(traceback.format_exception(failure.value))
    assert CANARY not in f"{failure.value!r} {failure.value.message()} {failure.value.metadata}"
    return failure.value, "".join(said)


def attempts_of(error: ServiceError) -> list[attempt_pb2.Attempt]:
    """The attempts that the error carries."""
    (details,) = error.details
    assert isinstance(details, attempt_pb2.AttemptsFailed)
    return list(details.attempts)


def attempt_of(error: ServiceError) -> attempt_pb2.Attempt:
    """The one attempt that the error carries."""
    (attempt,) = attempts_of(error)
    return attempt
