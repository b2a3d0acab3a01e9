"""Entries that several replicas share: bodies in Redis under their time to live, and a stream of what changed.

    PREFIX entry:<fingerprint>    a hash with the entry's fields and its vector, expiring with it
    PREFIX lead:<fingerprint>     who may ask the model, expiring with the lease
    PREFIX wrong                  a set of pairs (request, entry) that were reported as wrong
    PREFIX epoch                  a hash: the epoch that each tenant is in
    PREFIX forgotten              a hash: what was to be forgotten, and when; for entries that nobody held just then
    PREFIX log                    a stream: put | forget | wrong | epoch | forgotten, by whom; bounded

Each replica answers from its own table and tails the stream into it. A replica that starts, or that was away for longer
than the stream reaches back, reads all bodies. Redis away: the replica goes on with what it has, changes wait in a
bounded queue, and nothing that a caller waits for takes longer than a fifth of a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from itertools import accumulate, count
from typing import Any, cast

import redis.asyncio as redis
from google.protobuf.message import DecodeError
from redis.exceptions import RedisError

from omnisphere.cache.v1.cache_service_pb2 import CachedReply
from services.cache import fingerprint as fingerprints
from services.cache.entry import Entry, Moment, Vectors
from services.cache.fingerprint import Fingerprint
from services.cache.replicas import Changes
from services.cache.settings import LONGEST_TTL
from services.chassis.clock import Clock
from services.chassis.logs import Log
from services.chassis.tasks import cancelled

PREFIX = f"omnisphere:cache:{fingerprints.FORMAT}:"
_LOG, _WRONG, _EPOCH, _FORGOTTEN = (f"{PREFIX}{name}" for name in ("log", "wrong", "epoch", "forgotten"))
_MOST_LOGGED = 200_000
_MOST_WAITING = 10_000
_BATCH = 200
_BLOCK_MS = 1_000
_SEEN_BY_ALL_MS = 2_000
_SECONDS, _LEAD_SECONDS = 2.0, 0.2
_LEADING, _LEAD_TRIES, _LATE = 4, 2, 1.2
_PAUSE_SECONDS, _PAUSE_AFTER_FAILURE_SECONDS = 0.005, 0.5
_SHARED = ("wrong", "epoch", "forgotten")
_AWAY = (RedisError, OSError, TimeoutError)
_Fields = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class _Change:
    kind: str
    key: bytes
    entry: Entry | None = None
    value: bytes = b""


class RedisLog:
    """The Keeper of a replica. `on_dropped` hears of changes that did not reach Redis."""

    def __init__(self, url: str, *, log: Log, clock: Clock, on_dropped: Callable[[int], None]) -> None:
        self._log = log
        self._clock = clock
        self._on_dropped = on_dropped
        self._name = uuid.uuid4().hex
        self._redis = redis.Redis.from_url(url, socket_timeout=_SECONDS, socket_connect_timeout=_SECONDS)
        # Leases have connections of their own, open before anybody asks: they never wait behind a batch.
        self._leading = redis.Redis.from_pool(
            redis.BlockingConnectionPool.from_url(
                url,
                max_connections=_LEADING,
                timeout=_SECONDS,
                socket_timeout=_SECONDS,
                socket_connect_timeout=_SECONDS,
            )
        )
        # The tail blocks for up to a second on purpose.
        patient = _SECONDS + _BLOCK_MS / 1000
        self._tailing = redis.Redis.from_url(url, socket_timeout=patient, socket_connect_timeout=_SECONDS)
        self._waiting: deque[_Change] = deque()
        self._changed = asyncio.Event()
        self._one_flush = asyncio.Lock()
        self._nameless = count()
        self._up = False
        self._last = b"0"
        self._changes: Changes | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def shared(self) -> bool:
        return self._up

    async def start(self, changes: Changes, *, most_entries: int, most_bytes: int, mark: int = 0) -> None:  # noqa: ARG002
        self._changes = changes
        kept: list[Entry] = []
        try:
            # What is learned after this comes with the log, and with it what is to be forgotten of the bodies.
            self._last = await self._end_of_log()
            await self._read_learned()
            kept = [entry async for entry in self._bodies()]
            await asyncio.gather(*(self._leading.ping() for _ in range(_LEADING)))
            self._is_up(up=True)
        except _AWAY:
            self._is_up(up=False)
        kept.sort(key=lambda entry: -entry.stored_at)
        sizes = accumulate(entry.size() for entry in kept)
        changes.kept_before(
            [entry for entry, size in zip(kept[:most_entries], sizes, strict=False) if size <= most_bytes]
        )
        self._tasks = [asyncio.create_task(self._tail(), name="cache-tail")]
        self._tasks.append(asyncio.create_task(self._run(), name="cache-publish"))

    async def mark(self) -> int:
        """A replica's vectors come with the bodies: there is nothing to mark."""
        return 0

    def put(self, entry: Entry) -> None:
        self._add(_Change("put", entry.fingerprint, entry))

    def remove(self, fingerprint: Fingerprint, *, forgotten: bool) -> None:
        if forgotten:  # what is over expires by itself, and what one replica has no room for may stay with others
            self._add(_Change("forget", fingerprint))

    def learned(self, kind: str, key: bytes, value: bytes) -> None:
        # How often hits were wrong each replica learns from its own share of them.
        if kind in _SHARED:
            self._add(_Change(kind, key, value=value))

    async def lead(self, fingerprint: Fingerprint, holder: str, seconds: float) -> tuple[bool, float] | None:
        if not self._up:
            return None
        key, millis = f"{PREFIX}lead:{fingerprint.hex()}", max(1, int(seconds * 1000))
        name = holder or f"{self._name}:{next(self._nameless)}"
        for _ in range(_LEAD_TRIES):
            started = self._clock.monotonic()
            try:
                async with asyncio.timeout(_LEAD_SECONDS):
                    pipe = self._leading.pipeline(transaction=True)
                    pipe.set(key, name, nx=True, px=millis)
                    pipe.get(key)
                    pipe.pttl(key)
                    _, leader, left = await pipe.execute()
                return leader == name.encode(), max(0, int(left)) / 1000
            except TimeoutError:
                # Came the alarm late, then it was this process that was busy and not Redis: what it said may be here.
                # To ask again is safe: a lease that the first time took is in our name.
                if self._clock.monotonic() - started < _LATE * _LEAD_SECONDS:
                    return None
            except _AWAY:
                return None
        return None

    def end_lead(self, fingerprint: Fingerprint) -> None:
        self._add(_Change("end", fingerprint))

    async def flush(self) -> None:
        async with self._one_flush:
            left = len(self._waiting)
            while left > 0:
                batch = [self._waiting.popleft() for _ in range(min(_BATCH, left, len(self._waiting)))]
                left -= len(batch)
                try:
                    await self._publish(batch)
                    self._is_up(up=True)
                except _AWAY:
                    self._is_up(up=False)
                    self._waiting.extendleft(reversed(batch))
                    return

    async def stop(self) -> None:
        await cancelled(self._tasks)
        await self.flush()
        for connection in (self._redis, self._leading, self._tailing):
            with contextlib.suppress(*_AWAY):
                await connection.aclose()

    def _add(self, change: _Change) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            self._waiting.popleft()
            self._on_dropped(1)
        self._waiting.append(change)
        self._changed.set()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self.flush()
            except Exception as failure:  # the loop must outlive our mistakes
                self._log.error("cache_publish_failed", failure)
            if self._waiting:
                self._changed.set()
                await self._clock.sleep(_PAUSE_AFTER_FAILURE_SECONDS)

    async def _publish(self, batch: list[_Change]) -> None:
        pipe = self._redis.pipeline(transaction=False)
        for change in batch:
            name = f"{PREFIX}entry:{change.key.hex()}"
            match change.kind:
                case "end":
                    pipe.delete(f"{PREFIX}lead:{change.key.hex()}")
                    continue
                case "put" if change.entry is not None:
                    pipe.hset(name, mapping=_fields(change.entry))
                    pipe.pexpireat(name, int(change.entry.expires_at * 1000))
                    # Not at once: who asks another replica before it has the answer would lead once more.
                    pipe.pexpire(f"{PREFIX}lead:{change.key.hex()}", _SEEN_BY_ALL_MS)
                case "forget":
                    pipe.delete(name)
                case "wrong":
                    pipe.sadd(_WRONG, change.key)
                case "epoch":
                    pipe.hset(_EPOCH, cast("str", change.key), cast("str", change.value))
                case "forgotten":
                    pipe.hset(_FORGOTTEN, cast("str", change.key), repr(self._clock.wall()))
            said: Any = {"kind": change.kind, "by": self._name, "key": change.key, "value": change.value}
            pipe.xadd(_LOG, said, maxlen=_MOST_LOGGED, approximate=True)
        await pipe.execute()

    async def _tail(self) -> None:
        while True:
            try:
                if not self._up:
                    await self._catch_up()
                answer: Any = await self._tailing.xread({_LOG: self._last}, count=_BATCH, block=_BLOCK_MS)
                for _, messages in answer or ():
                    await self._apply(messages)
            except _AWAY:
                self._is_up(up=False)
                await self._clock.sleep(_PAUSE_AFTER_FAILURE_SECONDS)
            except Exception as failure:  # the loop must outlive our mistakes
                self._log.error("cache_tail_failed", failure)
                await self._clock.sleep(_PAUSE_AFTER_FAILURE_SECONDS)

    async def _catch_up(self) -> None:
        """After a time away: go on where we were, or read everything where the stream no longer reaches back so far."""
        first: Any = await self._redis.xrange(_LOG, count=1)
        if self._last == b"0" or not first or _order(first[0][0]) > _order(self._last):
            self._last = await self._end_of_log()
            async for entry in self._bodies():
                self._kept(entry)
            await self._read_learned()
        self._is_up(up=True)

    async def _apply(self, messages: list[tuple[bytes, _Fields]]) -> None:
        """What others did. Bodies are read together; one that is gone meanwhile was forgotten or is over."""
        puts = [fields[b"key"] for _, fields in messages if fields[b"kind"] == b"put" and not self._ours(fields)]
        bodies = dict(zip(puts, await self._read(puts), strict=True))
        for number, fields in messages:
            key = fields[b"key"]
            if not self._ours(fields) and self._changes is not None:
                match fields[b"kind"]:
                    case b"put" if (entry := bodies[key]) is not None:
                        self._kept(entry)
                    case b"forget":
                        self._changes.forgotten_elsewhere(Fingerprint(key))
                    case b"wrong" | b"epoch" | b"forgotten" as kind:
                        self._changes.learned_elsewhere(kind.decode(), key, fields.get(b"value", b""))
            self._last = number

    async def _read_learned(self) -> None:
        """What all learned so far."""
        pairs: Any = await self._redis.smembers(_WRONG)
        epochs: Any = await self._redis.hgetall(_EPOCH)
        forgotten: Any = await self._redis.hgetall(_FORGOTTEN)
        oldest = self._clock.wall() - LONGEST_TTL.total_seconds()
        for key, at in forgotten.items():
            if float(at) < oldest:  # all that was meant is over
                await self._redis.hdel(_FORGOTTEN, key)
        if self._changes is not None:
            for key in pairs:
                self._changes.learned_elsewhere("wrong", key, b"")
            for key, value in epochs.items():
                self._changes.learned_elsewhere("epoch", key, value)
            for key in forgotten:
                self._changes.learned_elsewhere("forgotten", key, b"")

    def _ours(self, fields: _Fields) -> bool:
        return fields[b"by"] == self._name.encode()

    def _kept(self, entry: Entry) -> None:
        if self._changes is not None:
            self._changes.kept_elsewhere(entry)

    async def _end_of_log(self) -> bytes:
        last: Any = await self._redis.xrevrange(_LOG, count=1)
        return bytes(last[0][0]) if last else b"0-0"

    async def _bodies(self) -> AsyncIterator[Entry]:
        """All entries there are. What is put while this runs may come twice, from here and from the stream."""
        batch: list[bytes] = []
        start = len(f"{PREFIX}entry:")
        async for key in self._redis.scan_iter(match=f"{PREFIX}entry:*", count=1_000):
            batch.append(bytes.fromhex(key[start:].decode()))
            if len(batch) == _BATCH:
                for entry in await self._read(batch):
                    if entry is not None:
                        yield entry
                batch.clear()
        for entry in await self._read(batch):
            if entry is not None:
                yield entry

    async def _read(self, names: list[bytes]) -> list[Entry | None]:
        if not names:
            return []
        pipe = self._redis.pipeline(transaction=False)
        for name in names:
            pipe.hgetall(f"{PREFIX}entry:{name.hex()}")
        now = Moment(self._clock.wall(), self._clock.monotonic())
        return [_entry(name, fields, now) for name, fields in zip(names, await pipe.execute(), strict=True)]

    def _is_up(self, *, up: bool) -> None:
        if up != self._up:
            self._up = up
            (self._log.info if up else self._log.warning)("cache_shared" if up else "cache_redis_away")


def _fields(entry: Entry) -> dict[Any, Any]:
    model_hash, vector = (entry.vectors.model_hash, entry.vectors.data) if entry.vectors else ("", b"")
    return {
        "tenant": entry.tenant,
        "model": entry.model,
        "tags": json.dumps(entry.tags),
        "stored_at": repr(entry.stored_at),
        "expires_at": repr(entry.expires_at),
        "canonical": entry.canonical,
        "reply": entry.reply,
        "model_hash": model_hash,
        "vector": vector,
    }


def _entry(name: bytes, fields: _Fields, now: Moment) -> Entry | None:
    """The entry of a hash; None where it is gone, over, or does not hold together."""
    try:
        stored_at = float(fields[b"stored_at"])
        if fingerprints.digest(fields[b"canonical"]).fingerprint != name:
            return None
        CachedReply.FromString(fields[b"reply"])
        entry = Entry(
            tenant=sys.intern(fields[b"tenant"].decode()),
            fingerprint=Fingerprint(name),
            canonical=fields[b"canonical"],
            reply=fields[b"reply"],
            model=sys.intern(fields[b"model"].decode()),
            tags=tuple(json.loads(fields[b"tags"])),
            stored_at=stored_at,
            expires_at=float(fields[b"expires_at"]),
            age_zero=now.monotonic - max(0.0, now.wall - stored_at),
            vectors=Vectors(fields[b"model_hash"].decode(), fields[b"vector"]) if fields[b"vector"] else None,
        )
    except (KeyError, ValueError, TypeError, DecodeError):
        return None
    return None if entry.is_over(now) else entry


def _order(number: bytes) -> tuple[int, int]:
    """The order of stream ids."""
    millis, _, place = number.partition(b"-")
    return int(millis), int(place or b"0")
