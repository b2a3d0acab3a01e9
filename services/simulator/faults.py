"""The table of faults that wait for a request, and how a fault is described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from services.simulator.api_error import invalid


class FaultKind(StrEnum):
    """What goes wrong."""

    NONE = "none"  # nothing: a good answer between bad ones
    STATUS = "status"  # an HTTP error status with an OpenAI body
    RESET = "reset"  # the connection is closed without an answer
    SILENCE = "silence"  # accepted, never answered
    SLOW_FIRST = "slow_first"  # delay_ms before the first byte
    CUT = "cut"  # the connection breaks after some chunks, or half a body
    CLEAN_CUT = "clean_cut"  # the stream ends in good HTTP, but without finish and [DONE]
    STALL = "stall"  # nothing more comes after some chunks; the connection stays open
    MALFORMED = "malformed"  # a broken JSON chunk mid-stream, or half a JSON body
    EMPTY_BODY = "empty_body"  # 200 and no byte
    HTML = "html"  # a gateway's page in place of JSON
    NO_DONE = "no_done"  # a finish chunk, but neither usage nor [DONE]
    ERROR_EVENT = "error_event"  # {"error": ...} as an event mid-stream
    CONTENT_FILTER = "content_filter"  # 400 content_filter
    CONTEXT_LENGTH = "context_length"  # 400 context_length_exceeded
    BILLED_EMPTY = "billed_empty"  # an answer without anything in it, that is billed as if it were whole
    DRIP = "drip"  # the whole answer, one byte per 100 ms


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault for the next `times` requests to a model; "*" is any model.

    `status` of None means 500 for `status` and 200 for `html`. `retry_after` is the header's
    text. `after_chunks` counts events of a stream, the role chunk among them; before a cut
    there are `pause_ms`, in which what was sent can be read.
    """

    kind: FaultKind
    model: str = "*"
    times: int = 1
    status: int | None = None
    retry_after: str | None = None
    after_chunks: int = 2
    delay_ms: int = 1000
    pause_ms: int = 0


class FaultTable:
    """Faults in the order they were added; each is used up by the requests it meets."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Fault, int]] = []

    def add(self, fault: Fault) -> None:
        """Put a fault behind those that wait already."""
        self._waiting.append((fault, fault.times))

    def clear(self) -> None:
        """Forget every fault."""
        self._waiting.clear()

    def take(self, model: str) -> Fault | None:
        """The first fault that waits for this model, used once by this call."""
        for place, (fault, left) in enumerate(self._waiting):
            if fault.model in ("*", model):
                if left > 1:
                    self._waiting[place] = (fault, left - 1)
                else:
                    del self._waiting[place]
                return fault
        return None

    def waiting(self) -> list[dict[str, object]]:
        """The faults that are left, as JSON."""
        return [asdict(fault) | {"times": left} for fault, left in self._waiting]


_INTEGERS = {
    "times": (1, 1_000_000),
    "status": (200, 599),
    "after_chunks": (0, 1_000_000),
    "delay_ms": (0, 3_600_000),
    "pause_ms": (0, 3_600_000),
}
_KEYS = frozenset({"kind", "model", "retry_after", *_INTEGERS})


def read_fault(row: object) -> Fault:
    """A fault from its JSON form, or Refused with the key that is wrong."""
    if not isinstance(row, Mapping):
        raise invalid("A fault must be a JSON object.")
    for key in row:
        if key not in _KEYS:
            raise invalid(f"Unknown key {key!r} (known: {', '.join(sorted(_KEYS))}).", str(key))
    kind, model, retry_after = row.get("kind"), row.get("model", "*"), row.get("retry_after")
    if kind not in tuple(FaultKind):
        raise invalid(f"kind {kind!r} is none of {', '.join(FaultKind)}.", "kind")
    if not isinstance(model, str):
        raise invalid("model must be a text.", "model")
    if isinstance(retry_after, bool) or not isinstance(retry_after, str | int | float | None):
        raise invalid("retry_after must be seconds or the header's text.", "retry_after")
    status = row.get("status")
    return Fault(
        kind=FaultKind(kind),
        model=model,
        times=_integer(row, "times", 1),
        status=None if status is None else _integer(row, "status", 500),
        retry_after=None if retry_after is None else str(retry_after),
        after_chunks=_integer(row, "after_chunks", 2),
        delay_ms=_integer(row, "delay_ms", 1000),
        pause_ms=_integer(row, "pause_ms", 0),
    )


def _integer(row: Mapping[str, object], key: str, default: int) -> int:
    value = row.get(key)
    low, high = _INTEGERS[key]
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise invalid(f"{key} must be a whole number from {low} to {high}.", key)
    return value
