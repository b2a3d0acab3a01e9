"""A way in beside gRPC is opened, drained and closed with the server, whatever fails."""

from __future__ import annotations

from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from services.chassis.server import Server
from services.chassis.settings import StartError
from tests.fakes.log import ReadableLog
from tests.unit.chassis.tiny import Tiny, service, settings


class ScriptedDoor:
    """Notes what happens to it."""

    def __init__(self, events: list[str], *, taken: bool = False) -> None:
        self.port = 0
        self._events = events
        self._taken = taken

    async def open(self) -> None:
        if self._taken:
            raise StartError("http port is taken")
        self.port = 8_088
        self._events.append("open")

    def ready(self) -> None:
        self._events.append("ready")

    def leave(self) -> None:
        self._events.append("leave")

    async def close(self, grace: float) -> None:
        self._events.append(f"close {grace:g}")


def server(events: list[str], *, taken: bool = False, fails: bool = False) -> Server:
    async def start() -> None:
        events.append("start")
        if fails:
            raise StartError("no file")

    async def stop() -> None:
        events.append("stop")

    made = replace(service(Tiny()), start=start, stop=stop, door=ScriptedDoor(events, taken=taken))
    return Server(made, settings(), log=ReadableLog(), registry=CollectorRegistry())


async def test_a_door_is_ready_after_the_service_and_closed_before_it_stops():
    events: list[str] = []
    made = server(events)
    assert made.http_port == 0
    await made.start()
    assert made.http_port == 8_088
    await made.drain_and_stop()
    assert events == ["open", "start", "ready", "leave", "close 1", "stop"]


async def test_a_door_is_closed_when_the_service_cannot_start():
    events: list[str] = []
    with pytest.raises(StartError, match="no file"):
        await server(events, fails=True).start()
    assert events == ["open", "start", "close 0", "stop"]


async def test_a_door_that_cannot_open_ends_the_start():
    events: list[str] = []
    with pytest.raises(StartError, match="taken"):
        await server(events, taken=True).start()
    assert events == ["close 0", "stop"]
