"""The wire formats that the simulator speaks: each reads a request and writes an answer as its vendor does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from services.simulator.api_error import ApiError
from services.simulator.chat_request import ChatRequest
from services.simulator.exchange import Event, Exchange


class Dialect(Protocol):
    """One wire format. `broken` is an event whose JSON does not end."""

    broken: bytes

    def read(self, document: Mapping[str, object]) -> ChatRequest:
        """The request, or Refused with what is wrong with it. `model` and `stream` stand in it in every dialect."""

    def whole(self, exchange: Exchange) -> Mapping[str, object]:
        """The body of an answer that is not streamed."""

    def nothing(self, exchange: Exchange) -> Mapping[str, object]:
        """The same without anything in it, but billed."""

    def nothing_streamed(self, exchange: Exchange) -> bytes:
        """The same as a stream."""

    def opening(self, exchange: Exchange) -> list[Event]:
        """The events of a stream up to its last word, the first one without output."""

    def ending(self, exchange: Exchange) -> list[Event]:
        """Why it ended, what it took, and the end mark."""

    def finish(self, exchange: Exchange) -> Event:
        """Why it ended, and no more."""

    def error(self, error: ApiError) -> Mapping[str, object]:
        """The body of an error."""

    def error_event(self, error: ApiError) -> bytes:
        """An error in the middle of a stream."""
