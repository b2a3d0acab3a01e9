"""One request of one model: its attempts, here or there, until one is answered or another would be no use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from omnisphere.providers.v1 import attempt_pb2
from services.chassis import call_context
from services.chassis.clock import Clock
from services.chassis.errors import ServiceError
from services.providers.consequences import consequence
from services.providers.endpoints import Endpoint
from services.providers.metrics import Operation, ProvidersMetrics
from services.providers.picker import Need, Pick, Picker, Tried
from services.providers.retry import Again, Retries

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class Tries:
    """The request, and what was tried for it so far."""

    operation: Operation
    endpoints: Sequence[Endpoint]
    need: Need
    purpose: attempt_pb2.Purpose.ValueType
    request_id: str
    call_id: str
    tried: Tried = field(default_factory=Tried)
    attempts: list[attempt_pb2.Attempt] = field(default_factory=list)

    def tell(self, failure: ServiceError) -> None:
        """Put into a failure what was tried before it came to that, also where that is nothing."""
        failure.details = (attempt_pb2.AttemptsFailed(attempts=self.attempts),)
        if len(self.attempts) > 1 and "attempts" in failure.keys:
            failure.metadata["attempts"] = ",".join(f"{each.endpoint}:{each.error_reason}" for each in self.attempts)


class Trier:
    """Makes the attempts."""

    def __init__(self, *, picker: Picker, retries: Retries, metrics: ProvidersMetrics, clock: Clock) -> None:
        self._picker = picker
        self._retries = retries
        self._metrics = metrics
        self._clock = clock

    async def run(self, tries: Tries, once: Callable[[Pick], Awaitable[T]]) -> T:
        """What the first attempt that succeeds gives. A failure carries AttemptsFailed.

        `once` makes one attempt, and ends its pick whatever happens: by booking it, or by giving it up.
        """

        def attempt() -> Awaitable[T]:
            pick = self._picker.pick(tries.endpoints, tries.need, tries.tried, self._clock.monotonic())
            if tries.attempts:
                self._metrics.retried(tries.attempts[-1])
            return once(pick)

        try:
            return await self._retries.run(
                attempt, lambda failure: self._again(tries, failure), call_context.current().deadline
            )
        except ServiceError as failure:
            tries.tell(failure)
            raise

    def _again(self, tries: Tries, failure: ServiceError) -> Again | None:
        """What a failure leaves to try."""
        what, now = consequence(failure), self._clock.monotonic()
        if not what.elsewhere:
            return None
        if self._picker.another_at_once(tries.endpoints, tries.need, tries.tried, now):
            return Again(0.0, elsewhere=True)
        waits = self._picker.waits_for(tries.endpoints, tries.need, tries.tried, now)
        return None if waits is None else Again(waits, elsewhere=False)
