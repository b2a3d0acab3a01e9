"""Parts of an answer may grow in turns; formats whose blocks come one after the other want them in order. Pure.

What belongs to another part waits while the part that grows is a tool call whose arguments are not whole yet. Any other
part may be left at any time, and may grow again later.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from omnisphere.chat.v1 import chat_pb2


class InTurn:
    """The deltas of one answer, in an order that cuts no tool call."""

    def __init__(self) -> None:
        self._open: int | None = None
        # The arguments so far of the tool call that grows; None: another kind of part does.
        self._arguments: list[str] | None = None
        self._waiting: list[chat_pb2.PartDelta] = []

    def take(self, parts: Iterable[chat_pb2.PartDelta]) -> Iterator[chat_pb2.PartDelta]:
        """What can be written now."""
        for part in parts:
            if self._must_wait(part):
                self._waiting.append(part)
            else:
                yield self._let(part)
        if self._waiting:
            yield from self._waited(all_of_it=False)

    def rest(self) -> Iterator[chat_pb2.PartDelta]:
        """The answer is complete: all that waits."""
        yield from self._waited(all_of_it=True)

    def _must_wait(self, part: chat_pb2.PartDelta) -> bool:
        if self._waiting and part.part_index != self._open:
            return True
        return self._open is not None and part.part_index != self._open and not self._is_whole()

    def _is_whole(self) -> bool:
        if self._arguments is None:
            return True
        try:
            return isinstance(orjson.loads("".join(self._arguments)), dict)
        except orjson.JSONDecodeError:
            return False

    def _waited(self, *, all_of_it: bool) -> Iterator[chat_pb2.PartDelta]:
        """Part by part: nothing else may come between the pieces of one tool call."""
        while self._waiting and (all_of_it or self._is_whole()):
            index = self._waiting[0].part_index
            now = [part for part in self._waiting if part.part_index == index]
            self._waiting = [part for part in self._waiting if part.part_index != index]
            for part in now:
                yield self._let(part)

    def _let(self, part: chat_pb2.PartDelta) -> chat_pb2.PartDelta:
        is_call = part.HasField("tool_call")
        if part.part_index != self._open:
            self._open = part.part_index
            self._arguments = [] if is_call else None
        if is_call and self._arguments is not None:
            self._arguments.append(part.tool_call.arguments_json)
        return part
