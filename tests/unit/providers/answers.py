"""What a scripted provider answers: good answers, broken ones, and none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

from aiohttp import web

from tests.unit.providers.conftest import GATE

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}}
COST = 6 * 2_000 + 4 * 500 + 5 * 10_000  # of USAGE at the rig's price, in nano-dollars
ANSWER = {"id": "up-1", "choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}], "usage": USAGE}


def event(content: str = "", finish: str | None = None, **rest: object) -> bytes:
    chunk = {"id": "up-1", "choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}], **rest}
    return f"data: {json.dumps(chunk)}\n\n".encode()


DONE = b"data: [DONE]\n\n"
STREAM = [event("hel"), event("lo"), event(finish="stop", usage=USAGE), DONE]


def body(document: object, status: int = 200, **headers: str) -> Handler:
    """Answers with a document."""

    async def answer(_request: web.Request) -> web.StreamResponse:
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.Response(status=status, body=data, headers={"content-type": "application/json"} | named)

    return answer


async def begun(request: web.Request, *pieces: bytes) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    for piece in pieces:
        await response.write(piece)
        await request.app[GATE].wait()
    return response


def pieces(*sent: bytes) -> Handler:
    """Sends these, and ends as it should."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return await begun(request, *sent)

    return answer


def cut_after(*sent: bytes) -> Handler:
    """Sends these, then breaks the connection off."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = await begun(request, *sent) if sent else web.StreamResponse()
        assert request.transport is not None
        request.transport.close()  # what was written still goes out
        return response

    return answer


def hold_after(*sent: bytes) -> Handler:
    """Sends these, then nothing until the client hangs up."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if sent:
            await begun(request, *sent)
        await asyncio.Event().wait()
        raise AssertionError

    return answer


def sequence(*handlers: Handler) -> Handler:
    """One after the other; the last one again and again."""
    left = list(handlers)

    async def answer(request: web.Request) -> web.StreamResponse:
        return await (left.pop(0) if len(left) > 1 else left[0])(request)

    return answer
