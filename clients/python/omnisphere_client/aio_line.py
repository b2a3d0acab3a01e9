"""The channel of an AsyncClient: made with its first call, in the event loop that the call runs in.

So a client may be made anywhere, also where no loop runs yet. gRPC ties a channel to its loop: where that one is over,
as after asyncio.run(), the next call gets another channel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import grpc

from omnisphere.router.v1.admin_service_pb2_grpc import AdminServiceStub
from omnisphere.router.v1.memory_service_pb2_grpc import MemoryServiceStub
from omnisphere.router.v1.router_service_pb2_grpc import RouterServiceStub
from omnisphere_client.channel import check_process, process

if TYPE_CHECKING:  # only the type stubs know these names
    from omnisphere.router.v1.admin_service_pb2_grpc import AdminServiceAsyncStub
    from omnisphere.router.v1.memory_service_pb2_grpc import MemoryServiceAsyncStub
    from omnisphere.router.v1.router_service_pb2_grpc import RouterServiceAsyncStub


class Line:
    """One channel with its stubs. `reached`: its first connection stood."""

    def __init__(self, channel: grpc.aio.Channel, loop: asyncio.AbstractEventLoop) -> None:
        self.channel = channel
        self.loop = loop
        self.made_in = process()
        self.reached = False
        self.router: RouterServiceAsyncStub = RouterServiceStub(channel)
        self.admin: AdminServiceAsyncStub = AdminServiceStub(channel)
        self.memory: MemoryServiceAsyncStub = MemoryServiceStub(channel)


class Lines:
    """The line of the loop that runs; one loop at a time."""

    def __init__(self, open_channel: Callable[[], grpc.aio.Channel]) -> None:
        self._open_channel = open_channel
        self._line: Line | None = None
        self._is_closed = False

    def current(self) -> Line:
        """The line to call on. Raises RuntimeError where the client is closed, or belongs to another process or running
        loop. One without a channel yet may be forked."""
        if self._is_closed:
            raise RuntimeError("the client is closed")
        loop, line = asyncio.get_running_loop(), self._line
        if line is not None:
            check_process(line.made_in)
        if line is not None and line.loop is loop:
            return line
        if line is not None and line.loop.is_running():
            raise RuntimeError("the client is used in another event loop; make one for each")
        self._line = Line(self._open_channel(), loop)
        return self._line

    async def close(self) -> None:
        """No more calls. A channel whose loop is over has nothing left to close."""
        self._is_closed = True
        line, self._line = self._line, None
        if line is not None and line.loop is asyncio.get_running_loop():
            await line.channel.close()
