"""Plays one scenario in one mode; writes down what the caller had, what the upstreams served and what was booked."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import aiohttp
import grpc

from bench.faults.rig import FIRST_MODEL, Rig, second_model
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere.router.v1.router_service_pb2_grpc import RouterServiceStub
from services.chassis.errors import from_rpc_error
from services.simulator.scenarios import SCENARIOS
from services.simulator.server import Simulator

Mode = Literal["unary", "restart", "fail"]
MODES: tuple[Mode, ...] = ("unary", "restart", "fail")
_DEADLINE = 20.0
_SETTLES_SECONDS = 3.0
_FIELDS = (
    "endpoint", "model", "outcome", "error", "http_status", "input_uncached", "output", "estimated", "cost_nanousd",
)  # fmt: skip


async def play(rig: Rig, scenario: str, mode: Mode) -> dict[str, Any]:
    """The row of one scenario in one mode."""
    name = f"{scenario}-{mode}"
    text = f"{name}: Explain in a few sentences what a service mesh is, and what it is good for."
    for simulator in (rig.first, rig.second):
        simulator.faults.clear()
    good = {
        "first": await _directly(rig.first, FIRST_MODEL, text),
        "second": await _directly(rig.second, second_model(rig.topology), text),
    }
    for simulator, faults in zip((rig.first, rig.second), _faults(scenario), strict=True):
        simulator.books.reset()
        for fault in faults:
            simulator.faults.add(fault)
    calls = 3 if scenario == "S15" else 1
    ids = [f"{rig.topology}-{name}-{number}" for number in range(calls)]
    started = time.monotonic()
    answers = [await _ask(rig, name, text, mode, request_id) for request_id in ids]
    seconds = time.monotonic() - started
    upstreams = {"first": rig.first, "second": rig.second}
    asked = sum(simulator.books.total().requests for simulator in upstreams.values())
    return {
        "topology": rig.topology,
        "scenario": scenario,
        "mode": mode,
        "good": good,
        "events": answers,
        "upstream": {side: simulator.books.total().requests for side, simulator in upstreams.items()},
        "books": {side: asdict(simulator.books.total()) for side, simulator in upstreams.items()},
        "ledger": await _booked(rig.ledger, ids, asked),
        "seconds": round(seconds, 3),
    }


def _faults(scenario: str) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    return SCENARIOS[scenario].faults, SCENARIOS[scenario].fallback


async def _directly(simulator: Simulator, model: str, text: str) -> str:
    """What the upstream itself answers when nothing is wrong."""
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    url = f"http://127.0.0.1:{simulator.port}/v1/chat/completions"
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        return str((await response.json())["choices"][0]["message"]["content"])


async def _ask(rig: Rig, name: str, text: str, mode: Mode, request_id: str) -> dict[str, Any]:
    """What one caller had: the kinds of events in order, the text at the end, whether it is complete, the status."""
    message = chat_pb2.Message(role=chat_pb2.ROLE_USER, parts=[chat_pb2.Part(text=text)])
    request = pb.StreamCompleteRequest(conversation=chat_pb2.Conversation(messages=[message]))
    request.options.policy, request.options.task_hint = name, "simple_qa"
    request.options.cache.no_cache = request.options.cache.no_store = True
    had: dict[str, Any] = {"kinds": [], "text": "", "complete": False, "status": None}
    metadata = (("omnisphere-request-id", request_id),)
    router = RouterServiceStub(rig.channel)
    try:
        if mode == "unary":
            plain = pb.CompleteRequest(conversation=request.conversation, options=request.options)
            response = await router.Complete(plain, timeout=_DEADLINE, metadata=metadata)
            had["text"] = "".join(part.text for part in response.message.parts)
            had["complete"] = response.finish_reason == chat_pb2.FINISH_REASON_STOP
        else:
            if mode == "restart":
                request.on_interruption = pb.ON_INTERRUPTION_RESTART
            async for event in router.StreamComplete(request, timeout=_DEADLINE, metadata=metadata):
                _note(had, event)
    except grpc.aio.AioRpcError as failure:
        error = from_rpc_error(failure, peer="router")
        had["status"] = {"code": failure.code().name, "reason": error.reason(), "metadata": error.metadata}
    return had


def _note(had: dict[str, Any], event: pb.StreamCompleteResponse) -> None:
    kind = event.WhichOneof("event")
    if had["kinds"][-1:] != [kind]:
        had["kinds"].append(kind)
    if kind == "delta":
        had["text"] += "".join(part.text for part in event.delta.parts)
    elif kind == "restart":
        had["text"] = ""
    elif kind == "end":
        had["complete"] = event.end.finish_reason == chat_pb2.FINISH_REASON_STOP


async def _booked(path: Path, request_ids: list[str], expected: int) -> list[Mapping[str, Any]]:
    """The attempts in the providers' own file, once as many stand there as the upstreams were asked."""
    rows: list[Mapping[str, Any]] = []
    for _ in range(int(_SETTLES_SECONDS / 0.05)):
        with suppress(sqlite3.OperationalError):  # the file is there a moment before its table
            rows = _rows(path, request_ids)
        if len(rows) >= expected:
            break
        await asyncio.sleep(0.05)
    return rows


def _rows(path: Path, request_ids: list[str]) -> list[Mapping[str, Any]]:
    if not path.exists():
        return []
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
        marks = ",".join("?" * len(request_ids))
        found = file.execute(
            f"SELECT {','.join(_FIELDS)} FROM attempt WHERE request_id IN ({marks}) ORDER BY at",  # noqa: S608
            request_ids,
        )
        return [dict(zip(_FIELDS, row, strict=True)) for row in found]


def line(row: Mapping[str, Any]) -> str:
    """A row as it is kept."""
    return json.dumps(row, ensure_ascii=False)
