"""What goes over the wire for one request: bytes, pauses and the ending, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from services.simulator.api_error import ApiError
from services.simulator.dialects import Dialect
from services.simulator.exchange import Event, Exchange, compact
from services.simulator.fleet import Model
from services.simulator.tokens import count_text

JSON_TYPE = "application/json"
SSE_TYPE = "text/event-stream; charset=utf-8"


class Ending(StrEnum):
    """What happens after the last byte."""

    CLOSE = "close"  # the HTTP message ends as it should
    ABORT = "abort"  # the TCP connection is broken off
    HOLD = "hold"  # nothing, until the client hangs up or the server stops


class Verdict(StrEnum):
    """Under what the request is booked once the script is played to its end."""

    COMPLETED = "completed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class Step:
    """Wait, then send; `output` is the part of the model's output in these bytes."""

    wait_s: float
    data: bytes
    output: str = ""


@dataclass(frozen=True, slots=True)
class Script:
    """One answer; `status` of None sends not even a header.

    `length` is the announced Content-Length; None sends chunks.
    """

    status: int | None
    steps: tuple[Step, ...]
    ending: Ending = Ending.CLOSE
    verdict: Verdict = Verdict.COMPLETED
    content_type: str = JSON_TYPE
    length: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def error_script(error: ApiError, dialect: Dialect) -> Script:
    """An error answer, at once."""
    body = compact(dialect.error(error))
    return Script(
        status=error.status,
        steps=(Step(0.0, body),),
        verdict=Verdict.FAILED,
        length=len(body),
        headers=error.headers,
    )


def answer_script(exchange: Exchange, dialect: Dialect, model: Model, scale: float, *, is_stream: bool) -> Script:
    """The whole answer at the model's pace, times `scale`."""
    first_s = model.first_token_ms / 1000 * scale
    token_s = scale / model.tokens_per_second
    if not is_stream:
        body = compact(dialect.whole(exchange))
        made = exchange.reply.text or "".join(call.name + call.arguments for call in exchange.reply.tool_calls)
        step = Step(first_s + exchange.output_tokens * token_s, body, made)
        return Script(status=200, steps=(step,), length=len(body))
    first, *rest = dialect.opening(exchange)
    steps = [Step(first_s, first.data)]
    steps += [Step(count_text(event.output) * token_s, event.data, event.output) for event in rest]
    # One step: a client may hang up as soon as it has seen the finish chunk or the usage.
    steps.append(_joined(dialect.ending(exchange)))
    return Script(status=200, steps=tuple(steps), content_type=SSE_TYPE)


def body_script(document: object, wait_s: float) -> Script:
    """A whole answer that is no conversation, after a wait."""
    body = compact(document)
    return Script(status=200, steps=(Step(wait_s, body),), length=len(body))


def _joined(events: list[Event]) -> Step:
    return Step(0.0, b"".join(event.data for event in events))
