"""A streamed answer as the events of the Responses format, response.created to response.completed.

    https://platform.openai.com/docs/api-reference/responses-streaming

Items come one after the other, and a tool call is never cut (in_turn.py). Only the end of a thought may come late: it
carries the proof, which some providers send last of all.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

import orjson

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.edge import sse
from services.router.edge.dialect import Reading
from services.router.edge.errors import Problem
from services.router.edge.in_turn import InTurn
from services.router.edge.openai_chat.write import error
from services.router.edge.openai_responses import proofs, write
from services.router.edge.openai_responses.items import Call, Event, Item, Kind, Message, Thoughts
from services.router.edge.values import Json

_Item = TypeVar("_Item", bound=Item)


class EventWriter:
    """Writes one answer."""

    def __init__(self, reading: Reading, request_id: str) -> None:
        self._reading = reading
        self._request_id = request_id
        self._created = int(time.time())
        self._head: Json = {}
        self._number = 0
        self._out = bytearray()
        self._in_turn = InTurn()
        self._items: list[Item] = []
        self._open: Item | None = None
        # Thoughts whose proof has not come, by their part.
        self._unproved: dict[int, Thoughts] = {}

    def opening(self, model: str, *, from_cache: bool) -> bytes:
        """response.created and response.in_progress."""
        del from_cache
        self._head = write.envelope(self._reading, self._request_id, model, self._created)
        begun = {"response": self._head | write.begun()}
        return self._taken([("response.created", begun), ("response.in_progress", begun)])

    def delta(self, parts: Iterable[chat_pb2.PartDelta]) -> bytes:
        """More of the items."""
        for part in self._in_turn.take(parts):
            self._write(part)
        return self._taken()

    def ending(self, end: pb.End) -> bytes:
        """All items end; then why the answer ended, and what it took."""
        for part in self._in_turn.rest():
            self._write(part)
        status = write.status_of(end.finish_reason)
        if self._items and status != write.COMPLETED:
            self._items[-1].status = write.INCOMPLETE
        self._close()
        for thoughts in list(self._unproved.values()):
            self._done(thoughts)
        rest = write.ending(end.finish_reason, [item.whole() for item in self._items], end.usage)
        if status == write.FAILED:
            self._put("error", _error(Problem(502, rest["error"]["message"], rest["error"]["code"])))
        last = {"response": self._head | rest | write.decision(self._reading, end)}
        return self._taken([(f"response.{status}", last)])

    def failure(self, problem: Problem) -> bytes:
        """The official clients raise for the first event, others look for the second; none is response.completed."""
        for item in self._items:
            item.status = write.INCOMPLETE if item.status == write.IN_PROGRESS else item.status
        head = self._head or write.envelope(self._reading, self._request_id, "", self._created)
        output = [item.whole() for item in self._items]
        failed = {"response": head | write.broken_off(output, problem.message, limited=problem.status == 429)}
        return self._taken([("error", _error(problem)), ("response.failed", failed)])

    def _write(self, part: chat_pb2.PartDelta) -> None:
        match part.WhichOneof("content"):
            case "text":
                self._say(part.part_index, "text", part.text)
            case "refusal":
                self._say(part.part_index, "refusal", part.refusal)
            case "tool_call":
                self._call(part)
            case "whole":
                self._hidden(part)
            case _:  # a proof alone belongs to thoughts
                self._think(part)

    def _say(self, part_index: int, kind: Kind, words: str) -> None:
        """Texts and refusals in a row are one message."""
        item = self._open
        if not isinstance(item, Message):
            item = self._begin("msg", Message)
        if not item.is_in(part_index, kind):
            self._put_all(item.next(part_index, kind))
        self._grow(item, words)

    def _call(self, part: chat_pb2.PartDelta) -> None:
        item, call = self._open, part.tool_call
        if not isinstance(item, Call) or item.part_index != part.part_index:
            if not call.id:
                return  # a call is left when it is whole: there is nothing to add
            item = self._begin("fc", partial(Call, part_index=part.part_index, call_id=call.id, name=call.name))
        item.proof = write.proof_of(part.signature, proofs.CALL) or item.proof
        self._grow(item, call.arguments_json)

    def _think(self, part: chat_pb2.PartDelta) -> None:
        """More thoughts, or their proof, which may come when they are long over."""
        item = self._open
        if not isinstance(item, Thoughts) or item.part_index != part.part_index:
            item = self._unproved.get(part.part_index)
            if item is None or part.reasoning:
                item = self._think_again(part.part_index, item)
        item.proof = write.proof_of(part.signature, proofs.THOUGHTS) or item.proof
        if part.reasoning:
            self._put_all(item.opening())
        self._grow(item, part.reasoning)
        if item is not self._open and item.proof is not None:
            self._done(item)

    def _think_again(self, part_index: int, before: Thoughts | None) -> Thoughts:
        """Another item; of the same thoughts where they go on, and then their proof belongs to this one."""
        self._close()
        if before is not None:
            self._done(before)
        return self._begin("rs", partial(Thoughts, part_index=part_index))

    def _hidden(self, part: chat_pb2.PartDelta) -> None:
        """Thoughts that are withheld come at once; other whole parts have no item in this format."""
        if part.whole.reasoning.redacted:
            proof = write.proof_of(part.whole.signature, proofs.HIDDEN)
            self._begin("rs", partial(Thoughts, part_index=part.part_index, proof=proof))

    def _begin(self, prefix: str, make: Callable[[str, int], _Item]) -> _Item:
        self._close()
        at = len(self._items)
        item = make(f"{prefix}_{self._request_id}_{at}", at)
        self._items.append(item)
        self._open = item
        self._put("response.output_item.added", {"output_index": at, "item": item.whole()})
        return item

    def _grow(self, item: Item, words: str) -> None:
        if words:
            item.take(words)
            self._out += item.before + orjson.dumps(words) + b',"sequence_number":%d}\n\n' % self._number
            self._number += 1

    def _close(self) -> None:
        item, self._open = self._open, None
        if item is None:
            return
        self._put_all(item.closing())
        if isinstance(item, Thoughts) and item.proof is None:
            self._unproved[item.part_index] = item
            return
        self._done(item)
        if isinstance(item, Call) and item.proof is not None:
            self._begin("rs", partial(Thoughts, part_index=item.part_index, proof=item.proof))
            self._close()

    def _done(self, item: Item) -> None:
        if isinstance(item, Thoughts):
            self._unproved.pop(item.part_index, None)
        if item.status == write.IN_PROGRESS:
            item.status = write.COMPLETED
        self._put("response.output_item.done", {"output_index": item.index, "item": item.whole()})

    def _put(self, name: str, fields: Json) -> None:
        self._out += sse.named(name.encode(), {"type": name, "sequence_number": self._number, **fields})
        self._number += 1

    def _put_all(self, events: Iterable[Event]) -> None:
        for name, fields in events:
            self._put(name, fields)

    def _taken(self, last: Iterable[Event] = ()) -> bytes:
        self._put_all(last)
        out, self._out = self._out, bytearray()
        return bytes(out)


def _error(problem: Problem) -> Json:
    """As the format describes it, and as its first server sends it, which is what clients look for."""
    said: Json = error(problem)["error"]
    return said | {"type": "error", "error": said}
