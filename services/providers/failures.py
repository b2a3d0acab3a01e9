"""What a provider's failure means: HTTP status and body to one of our errors. No I/O.

The provider's text never travels on: only its type, its code or its status, cleaned. Most providers have no code for a
conversation that is too long, so that is told by their words.
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

_CLEAN = re.compile(r"[a-z0-9_.-]{1,64}")
# Seen in recorded errors of OpenAI, Anthropic, Gemini, DeepSeek, OpenRouter, Ollama and vLLM.
_TOO_LONG = re.compile(
    r"maximum context length|context[_ ]length[_ ]exceeded|prompt is too long|prompt too long|input token count"
    r"|exceeds? the (?:maximum|available|model'?s) (?:context|number of tokens)|max context length|too many tokens"
    r"|context window|reduce the length",
    re.IGNORECASE,
)
_FILTERED = re.compile(r"content_filter|content_policy_violation|responsibleaipolicyviolation", re.IGNORECASE)
_MOST_WAIT = timedelta(hours=1)
_RETRY_DELAY = re.compile(r"(\d{1,9}(?:\.\d+)?)s")


def from_response(
    status: int, headers: Mapping[str, str], body: bytes, *, provider: str, model: str, now: datetime
) -> ServiceError:
    """The error for an answer that is not 2xx."""
    error = _error_object(body)
    kind = provider_type(error, status)
    words = f"{error.get('code')} {error.get('type')} {error.get('message')}"
    said: dict[str, Any] = {"provider": provider, "provider_type": kind, "status": str(status)}
    if status == 413 or (status in (400, 422) and _TOO_LONG.search(words)):
        return ContextTooLong(model=model, **said)
    if status in (400, 403, 422) and _FILTERED.search(words):
        return ContentFiltered(**said)
    if status in (401, 402, 403):
        return ProviderAuth(**said)
    if status == 404 or error.get("code") in ("model_not_found", "DeploymentNotFound"):
        return UnknownModel(name=model)
    if status == 429:
        wait = retry_after(headers, now)
        return ProviderRateLimited(retry_after=_retry_delay(error) if wait is None else wait, **said)
    if status >= 500 or status in (408, 409, 425) or status < 400:
        return ProviderUnavailable(cause="status", retry_after=retry_after(headers, now), **said)
    return ProviderRejected(**said)


def from_error_object(error: Mapping[str, Any], *, provider: str, model: str) -> ServiceError:
    """The error for an error object inside a 200."""
    kind = provider_type(error, 200)
    words = f"{error.get('code')} {error.get('type')} {error.get('message')}"
    if _TOO_LONG.search(words):
        return ContextTooLong(model=model, provider=provider, provider_type=kind, status="200")
    if "rate_limit" in words or "insufficient_quota" in words or error.get("code") == 429:
        return ProviderRateLimited(provider=provider, provider_type=kind, status="200")
    return ProviderUnavailable(provider=provider, provider_type=kind, status="200", cause="error_in_answer")


def provider_type(error: Mapping[str, Any], status: int) -> str:
    """The provider's own type, else its code, else http_<status>; at most 64 of [a-z0-9_.-]."""
    for value in (error.get("type"), error.get("code")):
        text = str(value).lower() if isinstance(value, str | int) and not isinstance(value, bool) else ""
        if _CLEAN.fullmatch(text):
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
    error = document.get("error", document)
    if isinstance(error, str):
        return {"message": error}
    return error if isinstance(error, dict) else {}
