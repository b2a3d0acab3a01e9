"""Sixteen outages to rehearse, each as the faults that make it: what a provider does wrong, in words and in rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.simulator.faults import Fault, FaultKind

# As long as a rehearsal may take.
_ALWAYS = 1_000_000
_LONG_MS = 60_000
# So that what was sent before a connection breaks can be read.
_PAUSE_MS = 50


@dataclass(frozen=True, slots=True)
class Scenario:
    """One outage. `fallback` is what goes wrong with the next endpoint, where that is part of it."""

    text: str
    faults: tuple[Fault, ...]
    fallback: tuple[Fault, ...] = ()


def _always(kind: FaultKind, **more: object) -> tuple[Fault, ...]:
    return (Fault(kind=kind, times=_ALWAYS, **more),)  # type: ignore[arg-type]


_DOWN = Fault(kind=FaultKind.STATUS, status=503)
SCENARIOS: Mapping[str, Scenario] = {
    "S01": Scenario("429, asks to wait for a second", _always(FaultKind.STATUS, status=429, retry_after="1")),
    "S02": Scenario("429, without a word of when", _always(FaultKind.STATUS, status=429)),
    "S03": Scenario("500, once", (Fault(kind=FaultKind.STATUS, status=500),)),
    "S04": Scenario("503", _always(FaultKind.STATUS, status=503)),
    "S05": Scenario("the connection is reset", _always(FaultKind.RESET)),
    "S06": Scenario("silence", _always(FaultKind.SILENCE)),
    "S07": Scenario("the first token takes a minute", _always(FaultKind.SLOW_FIRST, delay_ms=_LONG_MS)),
    "S08": Scenario("the answer is cut in the middle", _always(FaultKind.CUT, pause_ms=_PAUSE_MS)),
    "S09": Scenario("the answer stalls in the middle", _always(FaultKind.STALL)),
    "S10": Scenario("a chunk is no JSON", _always(FaultKind.MALFORMED)),
    "S11": Scenario("the stream ends without its last word", _always(FaultKind.CLEAN_CUT, pause_ms=_PAUSE_MS)),
    "S12": Scenario("the context is too long for the model", _always(FaultKind.CONTEXT_LENGTH)),
    "S13": Scenario("the content filter refuses", _always(FaultKind.CONTENT_FILTER)),
    "S14": Scenario(
        "the fallback refuses, too", _always(FaultKind.STATUS, status=503), _always(FaultKind.STATUS, status=403)
    ),
    "S15": Scenario("down, up, down", (_DOWN, Fault(kind=FaultKind.NONE), _DOWN)),
    "S16": Scenario("answers without anything in them, that are billed", _always(FaultKind.BILLED_EMPTY)),
}
