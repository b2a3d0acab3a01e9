"""What a provider's failure means: HTTP status and body, or what an answer lacked, to one of our errors. No I/O.

The provider's text never travels on: only its type, its code or its status, cleaned. What words mean stands in
`phrases.py`. In `provider_type` four words are ours: `stream_truncated`, `malformed`, `empty`, `transport`.
"""

from __future__ import annotations

import email.utils
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from services.chassis.errors import (
    ContentFiltered,
    ContextTooLong,
    ProviderAuth,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnavailable,
    ServiceError,
    UnknownModel,
)
from services.providers import phrases

_CLEAN = re.compile(r"[a-z0-9_.-]{1,64}")
# Words that say nothing.
_EMPTY_WORDS = ("error", "none", "null")
_OURS = ("stream_truncated", "empty")
_MOST_WAIT = timedelta(hours=1)
_RETRY_DELAY = re.compile(r"(\d{1,9}(?:\.\d+)?)s")


def from_response(
    status: int, headers: Mapping[str, str], body: bytes, *, provider: str, model: str, now: datetime
) -> ServiceError:
    """The error for an answer that is not 2xx."""
    error = _error_object(body)
    words = _words(error)
    wait = retry_after(headers, now)
    said: dict[str, Any] = {"provider": provider, "provider_type": provider_type(error, status), "status": str(status)}
    if status == 413 or (status in (400, 422) and phrases.too_long(words)):
        return ContextTooLong(model=model, **said)
    if status in (400, 403, 422) and phrases.filtered(words):
        return ContentFiltered(**said)
    if status in (401, 402, 403) or (status == 400 and phrases.bad_key(words)):
        return ProviderAuth(retry_after=wait, **said)
    if status == 404 or (status in (400, 422) and phrases.unknown_model(words)):
        return UnknownModel(name=model, **said)
    if status == 429:
        return ProviderRateLimited(retry_after=_retry_delay(error) if wait is None else wait, **said)
    if status >= 500 or status in (408, 409, 425, 498, 499) or status < 400:
        return ProviderUnavailable(cause="status", retry_after=wait, **said)
    return ProviderRejected(**said)


def from_error_object(error: Mapping[str, Any], *, provider: str, model: str) -> ServiceError:
    """The error for an error object inside a 200. The request was good enough to begin with, so it is not refused."""
    words = _words(error)
    said: dict[str, Any] = {"provider": provider, "provider_type": provider_type(error, 200), "status": "200"}
    if phrases.too_long(words):
        return ContextTooLong(model=model, **said)
    if phrases.filtered(words):
        return ContentFiltered(**said)
    if phrases.rate_limited(words) or error.get("code") == 429:
        return ProviderRateLimited(retry_after=_retry_delay(error), **said)
    if phrases.bad_key(words) or error.get("code") in (401, 402, 403):
        return ProviderAuth(**said)
    return ProviderUnavailable(cause="error_in_answer", retry_after=_retry_delay(error), **said)


def no_answer(kind: str, *, provider: str) -> ServiceError:
    """The error for a 200 that is not what the protocol says: `kind` is one word for how."""
    word = kind if kind in _OURS else "malformed"
    return ProviderUnavailable(provider=provider, cause=kind, provider_type=word)


def cut(cause: str, *, provider: str) -> ServiceError:
    """The error for a stream whose connection ended before it did."""
    return ProviderUnavailable(provider=provider, cause=cause, provider_type="stream_truncated")


def provider_type(error: Mapping[str, Any], status: int) -> str:
    """The provider's type (Google calls it status), else its code, else http_<status>; at most 64 of [a-z0-9_.-]."""
    google = error.get("status")
    for value in (error.get("type"), google if isinstance(google, str) else None, error.get("code")):
        text = str(value).lower() if isinstance(value, str | int) and not isinstance(value, bool) else ""
        if _CLEAN.fullmatch(text) and text not in _EMPTY_WORDS:
            return text
    return f"http_{status}"


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long the provider asks us to wait: retry-after-ms, or retry-after in seconds or as a date."""
    waits = []
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        if 0 <= seconds < float("inf"):
            waits.append(timedelta(seconds=min(seconds, _MOST_WAIT.total_seconds())))
    if waits:
        return next(filter(None, waits), waits[0])  # Azure says 0 ms beside its seconds
    try:
        at = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return min(max(at - now, timedelta(0)), _MOST_WAIT)
    except (ValueError, OverflowError):
        return None


def _retry_delay(error: Mapping[str, Any]) -> timedelta | None:
    """Google's RetryInfo, which stands in the body only."""
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        said = detail.get("retryDelay") if isinstance(detail, dict) else None
        if isinstance(said, str) and (match := _RETRY_DELAY.fullmatch(said)):
            return min(timedelta(seconds=float(match.group(1))), _MOST_WAIT)
    return None


def _error_object(body: bytes) -> Mapping[str, Any]:
    """The error object of a body; empty where it is none."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    if isinstance(document, list) and document:
        document = document[0]
    if not isinstance(document, dict):
        return {}
    error = document.get("error") or document
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}


def _words(error: Mapping[str, Any]) -> str:
    """Everything that an error says of itself, and a relay of its upstream."""
    metadata = error.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    inner = error.get("innererror")
    found = [error.get(name) for name in ("code", "type", "status", "message", "detail", "details")]
    return " ".join(str(value)[:4_096] for value in (*found, inner, raw) if value)
