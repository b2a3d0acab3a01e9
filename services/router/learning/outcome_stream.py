"""Outcomes that several routers share: a stream in Redis that each of them adds to and tails into its predictor.

    omnisphere:router:1:outcomes    a stream, bounded: by whom, and the outcome as JSON

A router that starts reads the stream from its beginning, so that it knows what the others know. Redis away: each learns
from its own callers, what it would have told waits in a bounded queue, and no caller waits for anything.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import math
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import redis.asyncio as redis
from redis.exceptions import RedisError

from services.chassis.clock import Clock
from services.chassis.logs import Log
from services.chassis.tasks import cancelled
from services.router.learning.outcomes import SOURCES, Outcome

STREAM = "omnisphere:router:1:outcomes"
_MOST_KEPT, _MOST_WAITING, _BATCH = 50_000, 10_000, 200
_SECONDS, _BLOCK_MS, _PAUSE_SECONDS = 2.0, 1_000, 0.5
_AWAY = (RedisError, OSError, TimeoutError)


class OutcomeStream:
    """The outcomes of all replicas. `shared` hears whether Redis is there, `dropped` of outcomes nobody was told."""

    def __init__(
        self,
        url: str,
        *,
        log: Log,
        clock: Clock,
        shared: Callable[[bool], None] = lambda _: None,
        dropped: Callable[[], None] = lambda: None,
    ) -> None:
        self._log = log
        self._clock = clock
        self._shared = shared
        self._dropped = dropped
        self._name = uuid.uuid4().hex
        self._redis = redis.Redis.from_url(url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS)
        # The tail blocks for up to a second on purpose.
        patient = _SECONDS + _BLOCK_MS / 1000
        self._tailing = redis.Redis.from_url(url, socket_timeout=patient, socket_connect_timeout=_SECONDS)
        self._waiting: deque[Outcome] = deque()
        self._more = asyncio.Event()
        self._last = b"0"
        self._up: bool | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def tell(self, outcome: Outcome) -> None:
        """Tell the others; returns at once."""
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.popleft()
            self._dropped()
        self._waiting.append(outcome)
        self._more.set()

    def start(self, take: Callable[[Outcome], object]) -> None:
        """Hand over what others found, and all that comes."""
        self._tasks = [
            asyncio.create_task(self._forever(self._told, "outcomes_untold"), name="outcomes-tell"),
            asyncio.create_task(self._forever(lambda: self._heard(take), "outcomes_unheard"), name="outcomes-hear"),
        ]

    async def stop(self) -> None:
        """Tell what waits, if Redis is there."""
        await cancelled(self._tasks)
        with contextlib.suppress(*_AWAY):
            while self._up and self._waiting:
                await self._publish()
        for connection in (self._redis, self._tailing):
            with contextlib.suppress(*_AWAY):
                await connection.aclose()

    async def _forever(self, step: Callable[[], Any], mistake: str) -> None:
        while True:
            try:
                await step()
                self._is_up(up=True)
                continue
            except _AWAY:
                self._is_up(up=False)
            except Exception as failure:  # the loop must outlive our mistakes
                self._log.error(mistake, failure)
            await self._clock.sleep(_PAUSE_SECONDS)

    async def _told(self) -> None:
        await self._more.wait()
        while self._waiting:
            await self._publish()
        self._more.clear()

    async def _publish(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
        pipe = self._redis.pipeline(transaction=False)
        for outcome in batch:
            pipe.xadd(STREAM, {"by": self._name, "outcome": _written(outcome)}, maxlen=_MOST_KEPT, approximate=True)
        try:
            await pipe.execute()
        except BaseException:
            self._waiting.extendleft(reversed(batch))
            raise

    async def _heard(self, take: Callable[[Outcome], object]) -> None:
        answer: Any = await self._tailing.xread({STREAM: self._last}, count=_BATCH, block=_BLOCK_MS)
        for _, messages in answer or ():
            for number, fields in messages:
                self._last = number  # first: one that cannot be taken is not read for ever
                if fields.get(b"by") != self._name.encode():
                    found = _read(fields.get(b"outcome", b""))
                    if found is None:
                        self._log.warning("outcome_unreadable")
                    else:
                        take(found)

    def _is_up(self, *, up: bool) -> None:
        if up != self._up:
            self._up = up
            self._shared(up)
            (self._log.info if up else self._log.warning)("outcomes_shared" if up else "outcomes_redis_away")


def _written(outcome: Outcome) -> bytes:
    return json.dumps(asdict(outcome) | {"noted": base64.b64encode(outcome.noted).decode()}).encode()


def _read(text: bytes) -> Outcome | None:
    """The outcome; None where it is none of ours."""
    try:
        said = json.loads(text)
        found = Outcome(
            tenant=str(said["tenant"]),
            request_id=str(said["request_id"]),
            task_type=str(said["task_type"]),
            model=str(said["model"]),
            score=float(said["score"]),
            source=SOURCES[said["source"]],
            at=float(said["at"]),
            propensity=float(said["propensity"]),
            noted=base64.b64decode(said["noted"], validate=True),
        )
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None
    return found if 0 <= found.score <= 1 and math.isfinite(found.at) and 0 < found.propensity <= 1 else None
