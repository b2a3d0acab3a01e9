"""What is already known of messages, so that a conversation's old turns are not looked at at every new one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from threading import Lock
from typing import Generic, TypeVar

from google.protobuf.message import Message

V = TypeVar("V")


class Memo(Generic[V]):
    """Remembers what was found out about up to `most` messages, and forgets what was asked for longest ago.

    Threads may share it. It keeps hashes, not what was said.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[bytes, V] = OrderedDict()
        self._using = Lock()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, scope: bytes, digest: bytes, measure: Callable[[], V]) -> V:
        """What is known of a message or tool by its digest; `measure` finds it out. See `scope_of`."""
        return self.get_all(scope, [digest], lambda _: measure())[0]

    def get_all(self, scope: bytes, digests: Sequence[bytes], measure: Callable[[int], V]) -> list[V]:
        """The same for many at once; `measure` is given the place of one that is not known."""
        known = self._known
        found: list[V | None] = []
        with self._using:
            for digest in digests:
                key = scope + digest
                value = known.get(key)
                if value is not None:
                    known.move_to_end(key)
                found.append(value)
        values = [measure(place) if value is None else value for place, value in enumerate(found)]
        new = [place for place, value in enumerate(found) if value is None]
        if new:
            with self._using:
                known.update((scope + digests[place], values[place]) for place in new)
                while len(known) > self._most:
                    known.popitem(last=False)
        return values


def digest_of(message: Message) -> bytes:
    """16 bytes that stand for the message's content."""
    return blake2b(message.SerializeToString(deterministic=True), digest_size=16).digest()


def scope_of(model: str, kind: type[Message]) -> bytes:
    """What a count holds for: the model and the kind of message; a tool and a turn may have the same bytes."""
    return f"{kind.DESCRIPTOR.full_name}\0{model}\0".encode()
