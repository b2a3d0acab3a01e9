"""What a call carries through the mesh beside its message: who, which request, which trace, until when.

It travels as gRPC metadata between processes and in a context variable inside one, so that a service called
directly sees the same as one called over the wire.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from services.chassis.identity import DEFAULT_TENANT, TENANT_KEY, Caller

REQUEST_ID_KEY = "omnisphere-request-id"
REQUEST_ID_BYTES = 128
TRACE_KEY = "traceparent"
# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})")


class CallContext(NamedTuple):
    """What a call carries; a tuple, because it is made several times per call.

    `deadline` is in seconds of the monotonic clock; None: none was set.
    """

    caller: Caller
    request_id: str
    trace_id: str
    trace_flags: str = "00"
    deadline: float | None = None

    def until(self, deadline: float | None) -> CallContext:
        """The same with another deadline."""
        return CallContext(self.caller, self.request_id, self.trace_id, self.trace_flags, deadline)

    def named(self, request_id: str) -> CallContext:
        """The same with another request id."""
        return CallContext(self.caller, request_id, self.trace_id, self.trace_flags, self.deadline)

    def remaining(self, now: float) -> float | None:
        """Seconds left, not below 0; None: no deadline."""
        return None if self.deadline is None else max(0.0, self.deadline - now)


def new_trace_id() -> str:
    """A name that nobody else has; not a secret, and so not worth a system call."""
    return f"{random.getrandbits(128):032x}"


def new_request_id() -> str:
    """The same, for a request."""
    return f"req-{new_call_id()}"


def new_call_id() -> str:
    """The same, for one call to another service."""
    return f"{random.getrandbits(96):024x}"


_CURRENT: ContextVar[CallContext] = ContextVar("omnisphere_call")


def current() -> CallContext:
    """The call that this task works for; outside of any call a fresh one of the default tenant."""
    found = _CURRENT.get(None)
    return found or CallContext(Caller(DEFAULT_TENANT), "", new_trace_id())


def enter(call: CallContext) -> None:
    """Work for `call` from here on, in this task and those it starts."""
    _CURRENT.set(call)


@contextmanager
def entered(call: CallContext) -> Iterator[None]:
    """Work for `call` inside the block only. Not around a `yield`: the block must end in the task that began it."""
    token = _CURRENT.set(call)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def traceparent(call: CallContext) -> str:
    """The trace header for the next hop, with a span id of its own."""
    return f"00-{call.trace_id}-{random.getrandbits(64):016x}-{call.trace_flags}"


def outgoing(call: CallContext) -> list[tuple[str, str]]:
    """The metadata for a call to another service of the mesh."""
    pairs = [(TENANT_KEY, call.caller.tenant), (TRACE_KEY, traceparent(call))]
    if call.request_id:
        pairs.append((REQUEST_ID_KEY, call.request_id))
    return pairs


def parse_trace(value: str) -> tuple[str, str]:
    """(trace id, flags) of a traceparent header; a new sampled-out trace where it is none."""
    match = _TRACEPARENT.fullmatch(value) if value else None
    return (match.group(1), match.group(2)) if match else (new_trace_id(), "00")


def lookup(metadata: Iterable[tuple[str, str | bytes]] | None, keys: Sequence[str]) -> dict[str, str]:
    """The text value of each of `keys` in gRPC metadata; of one that is said twice all, joined as HTTP has it.

    So a caller that names a tenant before a proxy that adds the true one is refused, and not believed.
    """
    found: dict[str, str] = {}
    for key, value in metadata or ():
        if key in keys and isinstance(value, str):
            found[key] = f"{found[key]}, {value}" if key in found else value
    return found
