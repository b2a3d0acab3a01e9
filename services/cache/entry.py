"""One kept answer: what it holds, how old it is, and when it is over. Clock values are handed in.

Its age is measured on both clocks, and the longer one counts: the monotonic clock stands still while a machine sleeps,
the wall clock may be set back. An entry that, by the wall clock, will only be stored in more than `TOLERANCE_SECONDS`
comes from a clock that was wrong: it counts as over, so that no jump makes it live for ever.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import NamedTuple

from services.cache.fingerprint import Asked, Fingerprint, digest

# A clock that NTP keeps is slewed, or steps by less; the shortest life is 60 s.
TOLERANCE_SECONDS = 5.0
# What an entry takes beside its texts: its record's front, its places in tables and orders.
_OVERHEAD_BYTES = 200
_JITTER = 0.1
# Of an entry's name, which is their hexadecimal form.
ID_BYTES = 16
_TIME = struct.Struct(">d")


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, on both clocks, in seconds."""

    wall: float
    monotonic: float


@dataclass(frozen=True, slots=True)
class Vectors:
    """What an entry is found by: a vector as 16-bit floats, and the hash of the model that made it."""

    model_hash: str
    data: bytes


class Entry(NamedTuple):
    """An answer; a tuple, because it is made for every look-up, and a million times at a start.

    `reply` is a serialised CachedReply: nobody can change it, and disk takes it as it is. `stored_at` and `expires_at`
    are on the wall clock; `age_zero` is when it was stored by this process's monotonic one. `vectors` is there on the
    way to storage and back alone. In memory an index holds them, and the rest is a record (records.py).
    """

    tenant: str
    fingerprint: Fingerprint
    canonical: bytes
    reply: bytes
    model: str
    tags: tuple[str, ...]
    stored_at: float
    expires_at: float
    age_zero: float
    vectors: Vectors | None = None

    @property
    def entry_id(self) -> str:
        """Its opaque name."""
        return self.id_bytes().hex()

    def id_bytes(self) -> bytes:
        """The 16 bytes of its name: one for what was stored for a request at a time."""
        return hashlib.blake2b(self.fingerprint + _TIME.pack(self.stored_at), digest_size=ID_BYTES).digest()

    def asked(self) -> Asked:
        """The request that it answers."""
        return digest(self.canonical)

    def size(self) -> int:
        """The memory it takes, roughly."""
        return len(self.canonical) + len(self.reply) + _OVERHEAD_BYTES

    def age(self, now: Moment) -> float:
        """Seconds since it was stored, by the clock that says more."""
        return age(self.stored_at, self.age_zero, now)

    def is_over(self, now: Moment) -> bool:
        """Whether its time is up, or lies in the future."""
        return is_over(self.stored_at, self.expires_at, self.age_zero, now)


def age(stored_at: float, age_zero: float, now: Moment) -> float:
    """Seconds since an entry with these times was stored, by the clock that says more."""
    return max(now.wall - stored_at, now.monotonic - age_zero)


def is_over(stored_at: float, expires_at: float, age_zero: float, now: Moment) -> bool:
    """Whether the time of an entry with these times is up, or lies in the future."""
    return age(stored_at, age_zero, now) >= expires_at - stored_at or now.wall < stored_at - TOLERANCE_SECONDS


def lifetime(ttl: float, fingerprint: Fingerprint, *, longest: float) -> float:
    """`ttl` seconds, up to 10 % more or less, so that what was stored together does not end together.

    Never above `longest`: those are limits that somebody promised.
    """
    share = int.from_bytes(fingerprint[:8]) / 2**64
    return min(ttl * (1 - _JITTER + 2 * _JITTER * share), longest)
