"""Where counting and cutting run: a short conversation is counted on the event loop, a long one off it.

A hop to a thread costs about 0.1 ms, as much as counting a few hundred tokens; a long conversation would hold up every
other call.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from omnisphere.chat.v1 import chat_pb2 as chat
from services.chassis import call_context
from services.chassis.executor import Executor
from services.context.metrics import ContextMetrics
from services.context.tokens import Counted, TokenCounter

P = ParamSpec("P")
R = TypeVar("R")


class Counting:
    """Counts without holding up the event loop. `inline_bytes`: the longest conversation that is counted on it."""

    def __init__(
        self, counter: TokenCounter, executor: Executor, metrics: ContextMetrics, *, inline_bytes: int
    ) -> None:
        self._counter = counter
        self._executor = executor
        self._metrics = metrics
        self._inline_bytes = inline_bytes

    async def count(self, conversation: chat.Conversation, model: str, wire_format: str = "") -> Counted:
        """The count for a concrete model. Raises Overloaded when too many wait."""
        inline = conversation.ByteSize() <= self._inline_bytes and self._counter.is_ready(model, wire_format)
        tenant = call_context.current().caller.tenant
        started = time.monotonic()
        try:
            if inline:
                return self._counter.count(conversation, model, wire_format, tenant)
            return await self._executor.run(self._counter.count, conversation, model, wire_format, tenant)
        finally:
            place = "inline" if inline else "executor"
            self._metrics.counting_seconds.labels(place).observe(time.monotonic() - started)

    async def off_loop(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What `function` returns, run in one of the same threads. Raises Overloaded when too many wait."""
        return await self._executor.run(function, *args, **kwargs)
