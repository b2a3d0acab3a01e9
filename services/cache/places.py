"""Digest to place, in 16 bytes per entry where a dict with its keys takes 160. No I/O.

Digests fall evenly into buckets by their first two bytes. A bucket is one bytes object of (next eight bytes, place),
which is searched as text is: for a million digests, fifteen at a time. So nothing is ever made anew as it grows.
"""

from __future__ import annotations

_BUCKETS = 1 << 16
_KEY, _PLACE = 8, 4
_ITEM = _KEY + _PLACE
NOWHERE = -1


class Places:
    """Places by digest. Told apart by ten bytes: who must be sure compares what is at the place."""

    def __init__(self) -> None:
        self._buckets = [b""] * _BUCKETS

    def find(self, digest: bytes) -> int:
        """The digest's place, or NOWHERE."""
        bucket = self._buckets[digest[0] << 8 | digest[1]]
        at = _at(bucket, digest[2 : 2 + _KEY])
        return NOWHERE if at < 0 else int.from_bytes(bucket[at + _KEY : at + _ITEM])

    def add(self, digest: bytes, place: int) -> None:
        """Take up a digest's place."""
        self._buckets[digest[0] << 8 | digest[1]] += _item(digest, place)

    def remove(self, digest: bytes, place: int) -> None:
        """Forget a digest that is at that place."""
        number = digest[0] << 8 | digest[1]
        bucket = self._buckets[number]
        at = _at(bucket, _item(digest, place))
        self._buckets[number] = bucket[:at] + bucket[at + _ITEM :]


def _item(digest: bytes, place: int) -> bytes:
    return digest[2 : 2 + _KEY] + place.to_bytes(_PLACE)


def _at(bucket: bytes, beginning: bytes) -> int:
    """Where the item that begins so is; -1: nowhere. A match across two items is none."""
    at = bucket.find(beginning)
    while at >= 0 and at % _ITEM:
        at = bucket.find(beginning, at + 1)
    return at
