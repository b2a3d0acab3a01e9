"""One answer on its way, and everybody who waits for it.

The journey of a request runs once, in a task of its own, and publishes events; any number of followers read them, each
from the first one on, at their own pace. The task lives as long as somebody follows: when the last one leaves before
the end, it is cancelled, and the call to the model with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.clock import Clock
from services.chassis.errors import DeadlineExceeded, ServiceError, StreamInterrupted
from services.router.collect import deltas_of

Event = pb.StreamCompleteResponse
# How much before the caller's deadline we stop waiting, so that the reason still arrives.
_MARGIN_SECONDS = 0.02


@dataclass(slots=True, eq=False)
class Follower:
    """One who waits.

    `restartable`: takes a new answer in place of one that broke off. `whole`: wants nothing before the end.
    """

    request_id: str
    restartable: bool
    deadline: float | None
    leads: bool
    whole: bool = field(default=False)
    received_content: bool = field(default=False)
    # Deltas of void answers that this follower was never shown, so that its own count has no gap.
    skipped_deltas: int = field(default=0)


class Flight:
    """One answer on its way."""

    def __init__(self, request_id: str, content: bytes, clock: Clock) -> None:
        self.request_id = request_id
        self.content = content
        self.step = "admit"
        # What is decided so far; the journey keeps it current.
        self.decision = decision_pb2.Decision(request_id=request_id)
        self.ended_at: float | None = None
        self.error: ServiceError | None = None
        self._clock = clock
        self._events: list[Event] = []
        self._packed: list[bytes] = []
        self._followers: set[Follower] = set()
        self.first_delta_at: float | None = None
        # Those who wait for the next event, and those who wait for the last one only.
        self._waiters: set[asyncio.Future[bool]] = set()
        self._enders: set[asyncio.Future[bool]] = set()
        # The answer in one piece, where it came so and was not packed since.
        self.message: chat_pb2.Message | None = None
        self._task: asyncio.Task[None] | None = None
        self._deltas = 0
        self._void_until = 0

    def depart(self, journey: Callable[[Flight], Awaitable[None]]) -> asyncio.Task[None]:
        """Start the journey."""

        async def fly() -> None:
            await journey(self)

        self._task = asyncio.create_task(fly(), name=f"flight {self.request_id}")
        return self._task

    @property
    def running(self) -> bool:
        """Whether more may come."""
        return self.ended_at is None and not (self._task is not None and self._task.cancelling())

    def pack(self) -> int:
        """Hold the events of a landed flight as bytes, a fifth of what objects take, for replays; how many they are."""
        self._packed = [event.SerializeToString() for event in self._events]
        self._events, self._task, self.decision, self.message = [], None, decision_pb2.Decision(), None
        return sum(len(event) for event in self._packed)

    @property
    def has_content(self) -> bool:
        """Whether anything of an answer was passed on that is not void."""
        return self._deltas > 0 and len(self._events) > self._void_until

    def may_restart(self) -> bool:
        """Whether somebody would take a new answer now: nobody would be left with half of one."""
        return any(follower.restartable or not follower.received_content for follower in self._followers)

    def publish_started(self, plan: list[decision_pb2.Candidate]) -> None:
        """Say what is planned."""
        self._publish(Event(started=pb.Started(request_id=self.request_id, plan=plan)))

    def publish_message(self, message: chat_pb2.Message, model: str) -> None:
        """Pass on the answer of a model in one piece."""
        if message.parts:
            self.publish_delta(deltas_of(message), model)
        self.message = message

    def publish_delta(self, parts: Sequence[chat_pb2.PartDelta], model: str = "") -> None:
        """Pass on a piece of the answer; the first one names the model."""
        if self.first_delta_at is None:
            self.first_delta_at = self._clock.monotonic()
        self._publish(Event(delta=chat_pb2.Delta(index=self._deltas, parts=parts, model=model)))
        self._deltas += 1

    def publish_restart(self, reason: str, attempt: int) -> None:
        """What came is void."""
        self.message = None
        self._void_until = len(self._events) + 1
        self._publish(Event(restart=pb.Restart(reason=reason, attempt=attempt)))

    def end(self, end: pb.End, error: ServiceError | None = None) -> None:
        """Nothing comes after this."""
        self.error = error
        self.ended_at = self._clock.monotonic()
        self._publish(Event(end=end))

    async def follow(self, follower: Follower) -> AsyncGenerator[Event, None]:
        """All events from the first one on, as this follower may see them; raises the flight's error after the end.

        One who leaves earlier, because the time is over or a new answer is no use, gets an end of its own first. Who
        has received nothing yet is not shown what is void already.
        """
        self._followers.add(follower)
        at = 0
        try:
            while follower.whole and self.ended_at is None:
                if not await self._more(follower):
                    yield self.unfinished(follower)
                    raise DeadlineExceeded(step=self.step)
            while True:
                while at < len(self._events) or at < len(self._packed):
                    event, at = self._event(at), at + 1
                    if at <= self._void_until and not follower.received_content and not event.HasField("started"):
                        follower.skipped_deltas += event.HasField("delta")
                        continue
                    if event.HasField("restart") and not follower.restartable:
                        yield self.unfinished(follower)
                        raise StreamInterrupted(cause=event.restart.reason.lower())
                    follower.received_content = event.HasField("delta") or (
                        follower.received_content and not event.HasField("restart")
                    )
                    yield self._seen_by(follower, event)
                    if event.HasField("end"):
                        if self.error is not None:
                            raise self.error
                        return
                if not await self._more(follower):
                    yield self.unfinished(follower)
                    raise DeadlineExceeded(step=self.step)
        finally:
            self._followers.discard(follower)
            if not self._followers and self.ended_at is None and self._task is not None:
                self._task.cancel()

    def _event(self, at: int) -> Event:
        return Event.FromString(self._packed[at]) if self._packed else self._events[at]

    async def _more(self, follower: Follower) -> bool:
        """Wait for the next event, or for the end; False: the follower's time is over."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        waiting = self._enders if follower.whole else self._waiters
        waiting.add(waiter)
        timer = None
        if follower.deadline is not None:
            left = follower.deadline - _MARGIN_SECONDS - self._clock.monotonic()
            timer = loop.call_later(max(left, 0), _overdue, waiter)
        try:
            return await waiter
        finally:
            waiting.discard(waiter)
            if timer is not None:
                timer.cancel()

    def _publish(self, event: Event) -> None:
        self._events.append(event)
        for waiter in self._waiters if self.ended_at is None else (*self._waiters, *self._enders):
            if not waiter.done():
                waiter.set_result(True)

    def _seen_by(self, follower: Follower, event: Event) -> Event:
        """Those who joined an answer that another request paid for see their own id, and no cost."""
        if (follower.leads or event.HasField("delta")) and not follower.skipped_deltas:
            return event
        mine = Event()
        mine.CopyFrom(event)
        if mine.HasField("delta"):
            mine.delta.index -= follower.skipped_deltas
        elif mine.HasField("started") and not follower.leads:
            mine.started.request_id = follower.request_id
        elif mine.HasField("end") and not follower.leads:
            _for_joined(mine.end, follower.request_id, self.request_id)
        return mine

    def unfinished(self, follower: Follower) -> Event:
        """The end for one who leaves before the flight's own end."""
        so_far = self.decision
        end = pb.End(finish_reason=chat_pb2.FINISH_REASON_ERROR, usage=so_far.usage, cost=so_far.cost, decision=so_far)
        return self._seen_by(follower, Event(end=end))


def _overdue(waiter: asyncio.Future[bool]) -> None:
    if not waiter.done():
        waiter.set_result(False)


def _for_joined(end: pb.End, request_id: str, leader: str) -> None:
    if request_id == leader:
        end.decision.replayed = True
        return
    nothing = chat_pb2.Cost(nanousd=0, priced=True)
    end.cost.CopyFrom(nothing)
    end.decision.cost.CopyFrom(nothing)
    end.usage.Clear()
    end.decision.usage.Clear()
    end.decision.ClearField("attempts")  # each stands in one Decision, so that they can be added up
    end.decision.request_id = request_id
    end.decision.shared_with_request_id = leader
