"""Spoil a script with a fault: the same bytes and pauses, with something going wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from services.simulator.api_error import ApiError, context_too_long
from services.simulator.dialects import Dialect
from services.simulator.exchange import Exchange, compact
from services.simulator.faults import Fault, FaultKind
from services.simulator.fleet import Model
from services.simulator.script import SSE_TYPE, Ending, Script, Step, Verdict, error_script

_DRIP_S = 0.1
_PAGE = b"<!doctype html><html><head><title>502 Bad Gateway</title></head><body></body></html>"
_FIRST_ERROR = 400
_TYPES = {
    401: ("invalid_request_error", "invalid_api_key"),
    402: ("insufficient_quota", "insufficient_quota"),
    403: ("permission_error", "permission_denied"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    503: ("service_unavailable_error", "service_unavailable"),
    529: ("overloaded_error", "overloaded"),
}


class Asked(Protocol):
    """What was asked, as far as an error speaks of it."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the input."""


def spoiled(script: Script, fault: Fault, asked: Asked, model: Model, dialect: Dialect) -> Script:
    """The script as this fault leaves it."""
    if fault.kind in _REFUSALS:
        return error_script(_REFUSALS[fault.kind](fault, asked, model), dialect)
    if fault.kind in _SAID:
        return _SAID[fault.kind](script, fault, dialect)
    if fault.kind in _ABOUT_REPLIES:
        return _ABOUT_REPLIES[fault.kind](script, asked, dialect) if isinstance(asked, Exchange) else script
    return _CHANGES[fault.kind](script, fault)


def _status(fault: Fault, _asked: Asked, _model: Model) -> ApiError:
    status = fault.status or 500
    default = ("invalid_request_error", None) if status < 500 else ("server_error", None)
    kind, code = _TYPES.get(status, default)
    headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
    return ApiError(status, f"Simulated fault: HTTP {status}.", kind, code=code, headers=headers)


def _content_filter(_fault: Fault, _asked: Asked, _model: Model) -> ApiError:
    message = "Output blocked by content filtering policy."
    return ApiError(400, message, param="prompt", code="content_filter")


def _context_length(_fault: Fault, asked: Asked, model: Model) -> ApiError:
    return context_too_long(max(asked.prompt_tokens, model.window + 1), model.window)


_REFUSALS: dict[FaultKind, Callable[[Fault, Asked, Model], ApiError]] = {
    FaultKind.STATUS: _status,
    FaultKind.CONTENT_FILTER: _content_filter,
    FaultKind.CONTEXT_LENGTH: _context_length,
}


def _reset(script: Script, _fault: Fault) -> Script:
    return _broken(script, (), Ending.ABORT, status=None)


def _silence(script: Script, _fault: Fault) -> Script:
    return _broken(script, (), Ending.HOLD, status=None)


def _slow_first(script: Script, fault: Fault) -> Script:
    first, *rest = script.steps
    late = replace(first, wait_s=first.wait_s + fault.delay_ms / 1000)
    return replace(script, steps=(late, *rest))


def _cut(script: Script, fault: Fault) -> Script:
    return _broken(script, _paused(_beginning(script, fault), fault), Ending.ABORT)


def _stall(script: Script, fault: Fault) -> Script:
    return _broken(script, _beginning(script, fault), Ending.HOLD)


def _clean_cut(script: Script, fault: Fault) -> Script:
    steps = _paused(_beginning(script, fault), fault)
    return _broken(replace(script, length=None), steps, Ending.CLOSE)


def _malformed(script: Script, fault: Fault, dialect: Dialect) -> Script:
    steps = _beginning(script, fault)
    if not _is_stream(script):
        return _broken(replace(script, length=len(steps[0].data)), steps, Ending.CLOSE)
    # The rest follows: a reader that skips what it cannot parse would lose text unseen.
    rest = script.steps[len(steps) + 1 :]
    return _broken(script, (*steps, Step(0.0, dialect.broken), *rest), Ending.CLOSE)


def _empty_body(script: Script, _fault: Fault) -> Script:
    return _broken(replace(script, length=0), (), Ending.CLOSE)


def _html(script: Script, fault: Fault) -> Script:
    status = fault.status or 200
    page = replace(script, length=len(_PAGE), content_type="text/html; charset=utf-8")
    made = _broken(page, (Step(0.0, _PAGE),), Ending.CLOSE, status=status)
    return replace(made, verdict=Verdict.FAILED) if status >= _FIRST_ERROR else made


def _error_event(script: Script, fault: Fault, dialect: Dialect) -> Script:
    error = ApiError(500, "Simulated fault: the model stopped.", "server_error")
    if _is_stream(script):
        steps = (*_beginning(script, fault), Step(0.0, dialect.error_event(error)))
        return _broken(script, steps, Ending.CLOSE)
    body = compact(dialect.error(error))
    return _broken(replace(script, length=len(body)), (Step(0.0, body),), Ending.CLOSE)


def _drip(script: Script, _fault: Fault) -> Script:
    steps = []
    for step in script.steps:
        *head, last = (step.data[i : i + 1] for i in range(len(step.data)))
        steps += [Step(_DRIP_S, byte) for byte in head]
        steps.append(Step(_DRIP_S, last, step.output))
    return replace(script, steps=tuple(steps))


def _same(script: Script, _fault: Fault) -> Script:
    return script


_CHANGES: dict[FaultKind, Callable[[Script, Fault], Script]] = {
    FaultKind.NONE: _same,
    FaultKind.RESET: _reset,
    FaultKind.SILENCE: _silence,
    FaultKind.SLOW_FIRST: _slow_first,
    FaultKind.CUT: _cut,
    FaultKind.CLEAN_CUT: _clean_cut,
    FaultKind.STALL: _stall,
    FaultKind.EMPTY_BODY: _empty_body,
    FaultKind.HTML: _html,
    FaultKind.DRIP: _drip,
}
# Faults that the dialect has its own words for.
_SAID: dict[FaultKind, Callable[[Script, Fault, Dialect], Script]] = {
    FaultKind.MALFORMED: _malformed,
    FaultKind.ERROR_EVENT: _error_event,
}


def _no_done(script: Script, exchange: Exchange, dialect: Dialect) -> Script:
    if not _is_stream(script):
        return script
    last = Step(0.0, dialect.finish(exchange).data)
    return _broken(script, (*script.steps[:-1], last), Ending.CLOSE)


def _billed_empty(script: Script, exchange: Exchange, dialect: Dialect) -> Script:
    """As providers do whose model spent everything on thoughts, or whose filter took it all."""
    if not _is_stream(script):
        body = compact(dialect.nothing(exchange))
        return replace(script, steps=(replace(script.steps[0], data=body),), length=len(body))
    return replace(script, steps=(replace(script.steps[0], data=dialect.nothing_streamed(exchange)),))


# Faults of a conversation's reply: vectors have none of them.
_ABOUT_REPLIES: dict[FaultKind, Callable[[Script, Exchange, Dialect], Script]] = {
    FaultKind.NO_DONE: _no_done,
    FaultKind.BILLED_EMPTY: _billed_empty,
}


def _beginning(script: Script, fault: Fault) -> tuple[Step, ...]:
    """What is sent before the fault: some events, never the finish; or half of a body."""
    if _is_stream(script):
        return script.steps[: min(fault.after_chunks, len(script.steps) - 1)]
    whole = script.steps[0]
    half = whole.data[: len(whole.data) // 2]
    return (replace(whole, data=half, output=whole.output[: len(whole.output) // 2]),)


def _paused(steps: tuple[Step, ...], fault: Fault) -> tuple[Step, ...]:
    return (*steps, Step(fault.pause_ms / 1000, b"")) if fault.pause_ms else steps


def _broken(script: Script, steps: tuple[Step, ...], ending: Ending, status: int | None = 200) -> Script:
    return replace(script, status=status, steps=steps, ending=ending, verdict=Verdict.INTERRUPTED)


def _is_stream(script: Script) -> bool:
    return script.content_type == SSE_TYPE
