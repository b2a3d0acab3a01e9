"""Play a script over one HTTP connection and settle its entry in the books."""

from __future__ import annotations

import asyncio

from aiohttp import web

from services.simulator.books import Entry
from services.simulator.script import Ending, Script, Verdict


async def play(http: web.Request, script: Script, entry: Entry, output_tokens: int) -> web.StreamResponse:
    """Send every step at its time; an end before the script's own is an interruption."""
    try:
        return await _play(http, script, entry, output_tokens)
    finally:
        entry.interrupt()


async def _play(http: web.Request, script: Script, entry: Entry, output_tokens: int) -> web.StreamResponse:
    response = _response(script)
    last = len(script.steps) - 1
    for number, step in enumerate(script.steps):
        # A pause of zero still lets the loop see a client that hung up.
        await asyncio.sleep(step.wait_s)
        if number == 0:
            await response.prepare(http)
        if number == last and script.ending is Ending.CLOSE:
            # The last bytes and the end of the message go to the transport in one piece.
            await response.write_eof(step.data)
        else:
            await response.write(step.data)
        entry.sent(step.output)
    if not script.steps and script.status is not None:
        await response.prepare(http)
    _settle(script, entry, output_tokens)
    if script.ending is Ending.ABORT and http.transport is not None:
        http.transport.abort()
    if script.ending is not Ending.CLOSE:
        # The loss of the connection, or the end of the server, cancels this wait.
        await asyncio.Event().wait()
    return response


def _response(script: Script) -> web.StreamResponse:
    response = web.StreamResponse(status=script.status or 200, headers=dict(script.headers))
    response.headers["Content-Type"] = script.content_type
    if script.length is not None:
        response.content_length = script.length
    return response


def _settle(script: Script, entry: Entry, output_tokens: int) -> None:
    if script.ending is Ending.HOLD:
        return
    match script.verdict:
        case Verdict.COMPLETED:
            entry.complete(output_tokens)
        case Verdict.FAILED:
            entry.fail()
        case Verdict.INTERRUPTED:
            entry.interrupt()
