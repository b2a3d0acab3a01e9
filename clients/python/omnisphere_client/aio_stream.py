"""An answer on its way, for asynchronous callers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Self, TypeAlias

import grpc

from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere_client import errors
from omnisphere_client.completion import Completion
from omnisphere_client.events import Event, TextDelta
from omnisphere_client.reading import Reading

StreamCall: TypeAlias = grpc.aio.UnaryStreamCall[pb.StreamCompleteRequest, pb.StreamCompleteResponse]


def is_cancelled() -> bool:
    """Whether the task that runs is cancelled itself. gRPC raises CancelledError also where only its call was."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class AsyncStream:
    """Iterate for the events; after the last one `completion` is the whole answer.

    The call goes out with the first event that is asked for. An answer that breaks off raises: it can never look
    finished. Leaving the `async with` block before the end cancels the call, and the model stops writing.

        async with client.stream("Tell me about rivers.") as stream:
            async for text in stream.texts():
                print(text, end="", flush=True)
            print(stream.completion.cost)
    """

    def __init__(self, begin: Callable[[], Awaitable[StreamCall]], *, restart: bool) -> None:
        self._begin = begin
        self._restart = restart
        self._call: StreamCall | None = None
        self._reading = Reading()
        self._completion: Completion | None = None
        self._error: errors.OmnisphereError | None = None
        self._events = self._read()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """The next event. Raises OmnisphereError when the answer breaks off, and again whenever it is asked after."""
        if self._error is not None:
            raise self._error
        return await anext(self._events)

    def texts(self) -> AsyncIterator[str]:
        """The pieces of the text alone. Not with restart=True: pieces cannot say that what came is void."""
        if self._restart:
            raise ValueError("texts() cannot tell of a restart; iterate over the stream itself")
        return (event.text async for event in self if isinstance(event, TextDelta))

    async def result(self) -> Completion:
        """Read to the end; the whole answer."""
        async for _ in self:
            pass
        return self.completion

    @property
    def completion(self) -> Completion:
        """The whole answer, after the end. Raises what the stream raised, or RuntimeError before the end."""
        if self._error is not None:
            raise self._error
        if self._completion is None:
            raise RuntimeError("the stream has not ended; iterate to its end, or await result()")
        return self._completion

    @property
    def text(self) -> str:
        """The text so far, without what a restart made void."""
        return self._reading.text

    @property
    def started(self) -> pb.Started | None:
        """What was planned; None before the first event."""
        return self._reading.started

    def close(self) -> None:
        """End the call now. Whatever did not come yet never will."""
        if self._completion is None and self._error is None:
            self._error = self._reading.noted(errors.closed("stream"))
        if self._call is not None:
            self._call.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _read(self) -> AsyncIterator[Event]:
        try:
            self._call = await self._begin()
            async for message in self._call:
                for event in self._reading.take(message):
                    yield event
            self._completion = self._reading.completion()
        except grpc.aio.AioRpcError as failure:
            self._error = self._reading.noted(errors.from_call(failure))
            raise self._error from failure
        except errors.OmnisphereError as failure:
            self._error = failure
            raise
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            self._error = self._error or self._reading.noted(errors.closed("client"))
            raise self._error from None
        finally:
            if self._completion is None and self._error is None:
                self.close()  # interrupted from outside: nobody reads on, and it must not look finished
