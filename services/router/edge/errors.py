"""What a failure is in HTTP: a status, the words of both dialects for it, and whether a retry is worth it.

Only what a ServiceError may say travels; the text of a foreign exception never does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from services.chassis.errors import (
    ContextTooLong,
    InvalidRequest,
    NoCandidateLeft,
    NotFound,
    ProviderUnavailable,
    ServiceError,
    StreamInterrupted,
)

INVALID, NOT_FOUND, RATE, SERVER = "invalid_request_error", "not_found_error", "rate_limit_error", "server_error"
# What Anthropic calls a status; OpenAI has one word for all statuses of the caller's fault and one for ours.
_ANTHROPIC_TYPES = {
    400: INVALID,
    401: "authentication_error",
    403: "permission_error",
    404: NOT_FOUND,
    405: INVALID,
    413: "request_too_large",
    415: INVALID,
    429: RATE,
    503: "overloaded_error",
    504: "timeout_error",
}
# reason -> (status, code of the OpenAI dialect). docs/http.md shows it; a test keeps it complete.
BY_REASON: dict[str, tuple[int, str]] = {
    "CANCELLED": (503, "cancelled"),
    "CONTENT_FILTERED": (400, "content_filter"),
    "CONTEXT_TOO_LONG": (400, "context_length_exceeded"),
    "DEADLINE_EXCEEDED": (504, "timeout"),
    "INTERNAL": (500, "internal_error"),
    "INVALID_REQUEST": (400, "invalid_value"),
    "MESSAGE_TOO_LARGE": (413, "request_too_large"),
    # Only `cache-control: only-if-cached` leads here: https://www.rfc-editor.org/rfc/rfc9111#section-5.2.1.7
    "NOT_FOUND": (504, "not_cached"),
    "NO_CANDIDATE_LEFT": (503, "no_candidate_left"),
    "NO_ENDPOINT": (404, "no_endpoint"),
    "UNPRICED": (404, "unpriced"),
    "OVERLOADED": (429, "overloaded"),
    "PEER_UNAVAILABLE": (503, "peer_unavailable"),
    "PROVIDER_AUTH": (502, "provider_auth"),
    "PROVIDER_RATE_LIMITED": (429, "rate_limit_exceeded"),
    "PROVIDER_REJECTED": (400, "provider_rejected"),
    "PROVIDER_UNAVAILABLE": (503, "provider_unavailable"),
    "STREAM_INTERRUPTED": (502, "stream_interrupted"),
    "UNAUTHENTICATED": (401, "unauthenticated"),
    "UNIMPLEMENTED": (501, "not_served_yet"),
    "UNKNOWN_MODEL": (404, "model_not_found"),
    "UNKNOWN_POLICY": (404, "policy_not_found"),
}
_MODEL_REASONS = frozenset({"UNKNOWN_MODEL", "UNKNOWN_POLICY", "NO_ENDPOINT"})
# After these, money may be spent; and what is not cached now is not cached a moment later.
_NO_RETRY = (NoCandidateLeft, ProviderUnavailable, StreamInterrupted, NotFound)


class Refused(Exception):
    """The edge itself refuses a request. `param` is the place in the caller's own terms."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str = "",
        param: str = "",
        details: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(code)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.details = details


def wrong(
    param: str, problem: str, code: str = "invalid_value", details: Mapping[str, object] | None = None
) -> Refused:
    """A refusal that names a place of the body and what is wrong with it; `details` is for clients that act on it."""
    return Refused(400, f"{param}: {problem}", code=code, param=param, details=details)


@dataclass(frozen=True, slots=True)
class Problem:
    """A failure as both dialects can say it. `retry_after` is in seconds; `retry` None: the client decides.

    `overflow` is set where a conversation was too long: (its tokens, the window's), "" where nobody counted. Clients
    look for their vendor's own words for it, and shorten the conversation.
    """

    status: int
    message: str
    code: str = ""
    param: str = ""
    retry_after: float | None = None
    retry: bool | None = None
    overflow: tuple[str, str] | None = None
    details: Mapping[str, object] | None = None

    @property
    def openai_type(self) -> str:
        """The `type` of the OpenAI dialect."""
        if self.status == 429:
            return RATE
        if self.status == 401:
            return "authentication_error"
        return INVALID if self.status < 500 else SERVER

    @property
    def anthropic_type(self) -> str:
        """The `type` of the Anthropic dialect."""
        return _ANTHROPIC_TYPES.get(self.status, INVALID if self.status < 500 else "api_error")

    def headers(self) -> list[tuple[bytes, bytes]]:
        """When to come back, and whether to."""
        headers: list[tuple[bytes, bytes]] = []
        if self.retry_after is not None:
            headers.append((b"retry-after", b"%d" % math.ceil(self.retry_after)))
            headers.append((b"retry-after-ms", b"%d" % math.ceil(self.retry_after * 1_000)))
        if self.retry is not None:
            headers.append((b"x-should-retry", b"true" if self.retry else b"false"))
        return headers


def problem_of(error: ServiceError | Refused, placed: Callable[[str], str]) -> Problem:
    """The failure for the caller; `placed` turns a field of our contract into the caller's own term for it."""
    if isinstance(error, Refused):
        return Problem(error.status, error.message, error.code, error.param, details=error.details)
    status, code = BY_REASON[error.reason()]
    retry_after = None if error.retry_after is None else error.retry_after.total_seconds()
    if isinstance(error, InvalidRequest):
        param = placed(error.metadata.get("field", ""))
        return Problem(status, f"{param}: {error.metadata.get('problem', 'is not valid')}", code, param)
    param = "model" if error.reason() in _MODEL_REASONS else ""
    retry = False if isinstance(error, _NO_RETRY) and retry_after is None else None
    overflow = None
    if isinstance(error, ContextTooLong):
        overflow = error.metadata.get("tokens", ""), error.metadata.get("window", "")
    return Problem(status, error.message(), code, param, retry_after, retry, overflow)
