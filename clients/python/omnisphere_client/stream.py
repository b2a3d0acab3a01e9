"""An answer on its way, for callers with threads."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self, cast

import grpc

from omnisphere.router.v1 import router_service_pb2 as pb
from omnisphere_client import errors
from omnisphere_client.completion import Completion
from omnisphere_client.events import Event, TextDelta
from omnisphere_client.reading import Reading


class _Call(Protocol):
    """What is needed of gRPC's call."""

    def __iter__(self) -> Iterator[pb.StreamCompleteResponse]: ...
    def cancel(self) -> bool: ...


class Stream:
    """Iterate for the events; after the last one `completion` is the whole answer.

    An answer that breaks off raises: it can never look finished. Leaving the `with` block before the end cancels the
    call, and the model stops writing.

        with client.stream("Tell me about rivers.") as stream:
            for text in stream.texts():
                print(text, end="", flush=True)
            print(stream.completion.cost)
    """

    def __init__(self, call: _Call, *, restart: bool) -> None:
        self._call = call
        self._restart = restart
        self._reading = Reading()
        self._completion: Completion | None = None
        self._error: errors.OmnisphereError | None = None
        self._events = self._read()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        """The next event. Raises OmnisphereError when the answer breaks off, and again whenever it is asked after."""
        if self._error is not None:
            raise self._error
        return next(self._events)

    def texts(self) -> Iterator[str]:
        """The pieces of the text alone. Not with restart=True: pieces cannot say that what came is void."""
        if self._restart:
            raise ValueError("texts() cannot tell of a restart; iterate over the stream itself")
        return (event.text for event in self if isinstance(event, TextDelta))

    def result(self) -> Completion:
        """Read to the end; the whole answer."""
        for _ in self:
            pass
        return self.completion

    @property
    def completion(self) -> Completion:
        """The whole answer, after the end. Raises what the stream raised, or RuntimeError before the end."""
        if self._error is not None:
            raise self._error
        if self._completion is None:
            raise RuntimeError("the stream has not ended; iterate to its end, or call result()")
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
        self._call.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> Iterator[Event]:
        try:
            for message in self._call:
                yield from self._reading.take(message)
            self._completion = self._reading.completion()
        except grpc.RpcError as failure:
            self._error = self._reading.noted(errors.from_call(cast("grpc.Call", failure)))
            raise self._error from failure
        except errors.OmnisphereError as failure:
            self._error = failure
            raise
        finally:
            if self._completion is None and self._error is None:
                self.close()  # interrupted from outside: nobody reads on, and it must not look finished
