"""Where counting runs: a short conversation on the event loop, a long one off it.

A hop to a thread costs about 0.1 ms, as much as counting a few hundred tokens; a long conversation would hold up every
other call.
"""

from __future__ import annotations

import time

from omnisphere.chat.v1 import chat_pb2 as chat
from services.chassis.executor import Executor
from services.context.metrics import ContextMetrics
from services.context.tokens import Counted, TokenCounter


class Counting:
    """Counts without holding up the event loop. `inline_bytes`: the longest conversation that is counted on it."""

    def __init__(
        self, counter: TokenCounter, executor: Executor, metrics: ContextMetrics, *, inline_bytes: int
    ) -> None:
        self._counter = counter
        self._executor = executor
        self._metrics = metrics
        self._inline_bytes = inline_bytes

    async def count(self, conversation: chat.Conversation, model: str) -> Counted:
        """The count for a concrete model. Raises Overloaded when too many wait."""
        inline = conversation.ByteSize() <= self._inline_bytes and self._counter.is_ready(model)
        started = time.monotonic()
        try:
            if inline:
                return self._counter.count(conversation, model)
            return await self._executor.run(self._counter.count, conversation, model)
        finally:
            place = "inline" if inline else "executor"
            self._metrics.counting_seconds.labels(place).observe(time.monotonic() - started)
