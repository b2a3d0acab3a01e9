"""Conversations that were seen before, by the hashes of their starts, so that only new turns are indexed.

h(0) = H(tenant), h(i) = H(h(i-1), message i): the same start of a conversation has the same hash in every process, and
another tenant's has none of them. Nothing here is more than a memory of work: losing it costs time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from threading import Lock

from omnisphere.chat.v1 import chat_pb2 as chat
from services.context.search import TurnIndex
from services.context.turns import turn_of
from services.context.units import Unit


def chain(tenant: str, digests: Sequence[bytes]) -> list[bytes]:
    """The hash of every start of a conversation: of no message, one, two ..."""
    link = blake2b(tenant.encode(), digest_size=16).digest()
    links = [link]
    for digest in digests:
        link = blake2b(link + digest, digest_size=16).digest()
        links.append(link)
    return links


class Known:
    """The indexes of up to `most` conversations; the one that was asked for longest ago goes. Threads may share it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._indexes: OrderedDict[bytes, TurnIndex] = OrderedDict()
        self._using = Lock()

    def __len__(self) -> int:
        return len(self._indexes)

    def take(self, units: Sequence[Unit], messages: Sequence[chat.Message], links: Sequence[bytes]) -> TurnIndex:
        """The index of these units: that of the longest start that is known, with what is new added.

        It is the caller's alone until `put` gives it back; who asks meanwhile makes another one.
        """
        index, done = self._longest(units, links)
        index.add([turn_of(unit, messages) for unit in units[done:]])
        return index

    def put(self, units: Sequence[Unit], links: Sequence[bytes], index: TurnIndex) -> None:
        """Keep the index for the next request of the conversation."""
        key = _end(units, len(units), links)
        with self._using:
            replaced = self._indexes.pop(key, None)  # by who asked at the same time
            self._indexes[key] = index
            oldest = self._indexes.popitem(last=False)[1] if len(self._indexes) > self._most else None
        for unused in (replaced, oldest):
            if unused is not None:
                unused.close()

    def _longest(self, units: Sequence[Unit], links: Sequence[bytes]) -> tuple[TurnIndex, int]:
        with self._using:
            for count in range(len(units), 0, -1):
                found = self._indexes.pop(_end(units, count, links), None)
                if found is not None:
                    return found, count
        return TurnIndex(), 0


def _end(units: Sequence[Unit], count: int, links: Sequence[bytes]) -> bytes:
    last = units[count - 1]
    return links[last.first + last.length]
