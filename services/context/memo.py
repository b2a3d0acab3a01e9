"""What is already known of messages, so that a conversation's old turns are not looked at at every new one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import blake2b
from threading import Lock
from typing import Generic, TypeVar

from google.protobuf.message import Message

V = TypeVar("V")


class Memo(Generic[V]):
    """Remembers what was found out about up to `most` messages, and forgets what was asked for longest ago.

    Two generations stand for the order: what is asked for moves to the young one, and once that has half of `most`, the
    old one is forgotten and the young one grows old. So a lookup costs no more than that of a dict. Threads may share
    it. It keeps hashes, not what was said.
    """

    def __init__(self, most: int) -> None:
        self._half = max(1, most // 2)
        self._young: dict[bytes, V] = {}
        self._old: dict[bytes, V] = {}
        self._using = Lock()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def get(self, scope: bytes, digest: bytes, measure: Callable[[], V]) -> V:
        """What is known of a message or tool by its digest; `measure` finds it out. See `scope_of`."""
        return self.get_all(scope, [digest], lambda _: measure())[0]

    def get_all(self, scope: bytes, digests: Sequence[bytes], measure: Callable[[int], V]) -> list[V]:
        """The same for many at once; `measure` is given the place of one that is not known."""
        keys = [scope + digest for digest in digests]
        found = list(map(self._young.get, keys))
        missing = [place for place, value in enumerate(found) if value is None] if None in found else []
        old = self._old
        new: dict[bytes, V] = {}
        values: list[V] = found  # type: ignore[assignment]  # every None in it is replaced
        for place in missing:
            key = keys[place]
            known = new.get(key)
            if known is None:
                known = old.get(key)
            values[place] = new[key] = measure(place) if known is None else known
        if new:
            with self._using:
                for key, value in new.items():
                    if len(self._young) >= self._half:
                        self._young, self._old = {}, self._young
                    self._old.pop(key, None)
                    self._young[key] = value
        return values


def digest_of(message: Message) -> bytes:
    """16 bytes that stand for the message's content."""
    return blake2b(message.SerializeToString(deterministic=True), digest_size=16).digest()


def scope_of(model: str, kind: type[Message]) -> bytes:
    """What a count holds for: the model and the kind of message; a tool and a turn may have the same bytes."""
    return f"{kind.DESCRIPTOR.full_name}\0{model}\0".encode()
