"""The listener of the HTTP edge: uvicorn in the router's own event loop, opened and drained with the gRPC server."""

from __future__ import annotations

import asyncio
import logging
import select
import socket
from contextlib import suppress

import uvicorn

from services.chassis.settings import StartError
from services.router.edge.app import Edge, State
from services.router.edge.head import BoundedHead

# Longer than clients and load balancers keep idle connections, so that they close them, not we under their request.
_IDLE_SECONDS = 75
# For the last words to calls whose time is over.
_LAST_WORDS_SECONDS = 1.0
# Of the event loop, each of which takes some connections; not endless under a flood of them.
_MOST_TURNS = 1_000


class HttpDoor:
    """The way in by HTTP. `port` is the real one where 0 was asked for."""

    def __init__(self, edge: Edge, *, host: str, port: int) -> None:
        self._edge = edge
        self._host = host
        self.port = port
        self._server: uvicorn.Server | None = None
        self._listener: socket.socket | None = None
        self._ticks: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Listen. Raises StartError when the port cannot be had."""
        listener = self._bound()
        config = uvicorn.Config(
            self._edge,
            http=BoundedHead,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level=logging.CRITICAL + 1,  # its lines may quote what a caller sent
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=_IDLE_SECONDS,
        )
        config.load()
        server = uvicorn.Server(config)
        # The steps of Server.serve() without its signal handlers, which are the chassis's own affair.
        server.lifespan = config.lifespan_class(config)
        await server.startup(sockets=[listener])
        self._server, self._listener = server, listener
        self._ticks = asyncio.create_task(server.main_loop(), name="http edge")

    def ready(self) -> None:
        """/healthz says so."""
        self._edge.state = State.SERVING

    def leave(self) -> None:
        """/healthz says no, and every answer closes its connection, so that callers go elsewhere."""
        self._edge.state = State.DRAINING

    async def close(self, grace: float) -> None:
        """No more connections; running requests may end within `grace` seconds, then they are told and cut."""
        self.leave()
        server, self._server = self._server, None
        if server is None:
            return
        server.should_exit = True
        await self._take_those_who_wait()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await server.shutdown()
        state = server.server_state
        running = set(state.tasks)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=_LAST_WORDS_SECONDS)
        for connection in list(state.connections):
            connection.transport.close()
        if self._ticks is not None:
            self._ticks.cancel()
            await asyncio.gather(self._ticks, return_exceptions=True)

    async def _take_those_who_wait(self) -> None:
        """Closing a listener resets connections that were made and not taken yet, so first there must be none."""
        assert self._listener is not None  # noqa: S101 - it is open
        self._listener.listen(0)
        waiting = select.poll()
        waiting.register(self._listener, select.POLLIN)
        for _ in range(_MOST_TURNS):
            if not waiting.poll(0):
                return
            await asyncio.sleep(0)

    def _bound(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)  # noqa: FBT003
        try:
            listener.bind((self._host, self.port))
        except OSError as failure:
            listener.close()
            raise StartError(f"http port {self._host}:{self.port} cannot be opened: {failure.strerror}") from failure
        except OverflowError as failure:
            listener.close()
            raise StartError(f"http port {self._host}:{self.port} cannot be opened: not a port") from failure
        self.port = listener.getsockname()[1]
        return listener
