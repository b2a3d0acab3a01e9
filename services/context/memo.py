"""Counts that are already known, so that a conversation's old turns are not counted at every new one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from threading import Lock

from google.protobuf.message import Message

from services.context.families import Tokens


class Memo:
    """Remembers the counts of up to `most` messages, and forgets the one that was asked for longest ago.

    Threads may share it. It keeps hashes, not what was said.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[bytes, Tokens] = OrderedDict()
        self._using = Lock()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, scope: bytes, digest: bytes, measure: Callable[[], Tokens]) -> Tokens:
        """The count of a message or tool by its digest; `measure` makes it when it is not known. See `scope_of`."""
        key = scope + digest
        with self._using:
            found = self._known.get(key)
            if found is not None:
                self._known.move_to_end(key)
                return found
        found = measure()
        with self._using:
            self._known[key] = found
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return found


def digest_of(message: Message) -> bytes:
    """16 bytes that stand for the message's content."""
    return blake2b(message.SerializeToString(deterministic=True), digest_size=16).digest()


def scope_of(model: str, kind: type[Message]) -> bytes:
    """What a count holds for: the model and the kind of message; a tool and a turn may have the same bytes."""
    return f"{kind.DESCRIPTOR.full_name}\0{model}\0".encode()
