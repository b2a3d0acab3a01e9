"""What goes wrong, as exceptions: one class per family that callers branch on, never gRPC's own.

    InvalidRequest      the request can never succeed as it is     mend it
      ContextTooLong    it does not fit the model's window         shorten it, or let another model answer
    NotFound            no such model, policy or entry             mend the name
    Refused             a provider refuses it, or nobody serves it ask another model
      ContentFiltered   its filter refused it
    RateLimited         too much at once                           wait `retry_after` seconds
    Unavailable         nobody could answer                        try again later
      StreamInterrupted the answer broke off                       `partial_text` is what came
    DeadlineExceeded    the time ran out
    Unauthenticated     the caller is not known here
    Unimplemented       this release does not serve the method
    ServerError         a mistake on the other side                report it with `metadata["error_id"]`
    Cancelled           the call was given up

A reason that this release does not know falls into the family of its gRPC code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from omnisphere.errors.v1 import error_reason_pb2 as reasons
from omnisphere.router.v1 import decision_pb2

DOMAIN = "omnisphere"


class OmnisphereError(Exception):
    """A call failed.

    `reason` is a name of errors/v1/error_reason.proto without its prefix, for example "UNKNOWN_MODEL".
    `code` is the gRPC code; `metadata` the facts that belong to the reason.
    `retry_after` is how many seconds to wait before another try; None: nobody said.
    `partial_text` and `decision` are set where a stream failed: what came until then, and what it cost.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str,
        code: grpc.StatusCode,
        metadata: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.code = code
        self.metadata: dict[str, str] = dict(metadata or {})
        self.retry_after = retry_after
        self.partial_text = ""
        self.decision: decision_pb2.Decision | None = None

    def __reduce__(self) -> tuple[object, ...]:
        """Errors travel between processes: those of pools and task queues come back pickled."""
        return _unpickled, (type(self), self.args, self.__dict__)


class InvalidRequest(OmnisphereError):
    """The request can never succeed as it is."""

    @property
    def field(self) -> str:
        """The path of the field that is wrong, where one is."""
        return self.metadata.get("field", "")

    @property
    def problem(self) -> str:
        """What is wrong with it."""
        return self.metadata.get("problem", "")


class ContextTooLong(InvalidRequest):
    """The conversation does not fit the model's window."""


class NotFound(OmnisphereError):
    """No model, policy or cache entry has this name; `metadata["known"]` lists the known names where that helps."""


class Refused(OmnisphereError):
    """The provider refuses the request and would refuse it again, or no endpoint serves the model here."""


class ContentFiltered(Refused):
    """The provider's filter refused the request."""


class RateLimited(OmnisphereError):
    """Too much at once, here or at a provider."""


class Unavailable(OmnisphereError):
    """Nobody could answer: a service is away, or every model of the plan failed."""


class StreamInterrupted(Unavailable):
    """The answer broke off after its first words; `partial_text` holds them."""


class DeadlineExceeded(OmnisphereError):
    """The time ran out; `metadata["step"]` says where, when the router could tell."""


class Unauthenticated(OmnisphereError):
    """The caller did not say who it is in a way that this deployment accepts, or may not do this."""


class Unimplemented(OmnisphereError):
    """The method is part of the contract, and the router's release does not serve it yet."""


class ServerError(OmnisphereError):
    """A mistake on the other side; nothing the caller can mend."""


class Cancelled(OmnisphereError):
    """The call was given up before its end."""


def _unpickled(kind: type[OmnisphereError], args: tuple[object, ...], facts: dict[str, object]) -> OmnisphereError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(facts)
    return error


def _name(value: reasons.ErrorReason.ValueType) -> str:
    return reasons.ErrorReason.Name(value).removeprefix("ERROR_REASON_")


# Reasons that are more precise than the family of their code.
_BY_REASON: dict[str, type[OmnisphereError]] = {
    _name(reasons.ERROR_REASON_CONTEXT_TOO_LONG): ContextTooLong,
    _name(reasons.ERROR_REASON_MESSAGE_TOO_LARGE): InvalidRequest,
    _name(reasons.ERROR_REASON_CONTENT_FILTERED): ContentFiltered,
    _name(reasons.ERROR_REASON_STREAM_INTERRUPTED): StreamInterrupted,
}
_BY_CODE: dict[grpc.StatusCode, type[OmnisphereError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequest,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.FAILED_PRECONDITION: Refused,
    grpc.StatusCode.RESOURCE_EXHAUSTED: RateLimited,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: Unauthenticated,
    grpc.StatusCode.UNIMPLEMENTED: Unimplemented,
    grpc.StatusCode.CANCELLED: Cancelled,
}
# The reason of a status that gRPC itself made, so that it has no details.
_PLAIN_REASON: dict[grpc.StatusCode, str] = {
    grpc.StatusCode.UNAVAILABLE: _name(reasons.ERROR_REASON_PEER_UNAVAILABLE),
    grpc.StatusCode.DEADLINE_EXCEEDED: _name(reasons.ERROR_REASON_DEADLINE_EXCEEDED),
    grpc.StatusCode.RESOURCE_EXHAUSTED: _name(reasons.ERROR_REASON_OVERLOADED),
    grpc.StatusCode.UNAUTHENTICATED: _name(reasons.ERROR_REASON_UNAUTHENTICATED),
    grpc.StatusCode.UNIMPLEMENTED: _name(reasons.ERROR_REASON_UNIMPLEMENTED),
    grpc.StatusCode.CANCELLED: _name(reasons.ERROR_REASON_CANCELLED),
}
# What gRPC says of a message above the channel's own limit; gateways that limit a rate use the same code.
_TOO_LARGE = "larger than max"


class _Failed(Protocol):
    """What sync and async failures of gRPC have in common."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...


def from_call(failure: _Failed) -> OmnisphereError:
    """The error that a failed call stands for."""
    status = _status(failure)
    info, retry_after = error_details_pb2.ErrorInfo(), None
    for packed in status.details if status is not None else ():
        if packed.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            packed.Unpack(info)
        elif packed.Is(error_details_pb2.RetryInfo.DESCRIPTOR):
            wait = error_details_pb2.RetryInfo()
            packed.Unpack(wait)
            retry_after = wait.retry_delay.ToTimedelta().total_seconds()
    code, text = failure.code(), failure.details() or ""
    if info.domain != DOMAIN:
        plain = _PLAIN_REASON.get(code, _name(reasons.ERROR_REASON_INTERNAL))
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and _TOO_LARGE in text:
            plain = _name(reasons.ERROR_REASON_MESSAGE_TOO_LARGE)
        return made(plain, text, code=code, retry_after=retry_after)
    return made(info.reason, text, code=code, metadata=info.metadata, retry_after=retry_after)


def made(
    reason: str,
    message: str,
    *,
    code: grpc.StatusCode,
    metadata: Mapping[str, str] | None = None,
    retry_after: float | None = None,
) -> OmnisphereError:
    """An error of the class that its reason asks for, else its code."""
    kind = _BY_REASON.get(reason) or _BY_CODE.get(code, ServerError)
    return kind(message, reason=reason, code=code, metadata=metadata, retry_after=retry_after)


def interrupted(cause: str) -> OmnisphereError:
    """The error for a stream that ended with OK, but without its closing event."""
    reason = _name(reasons.ERROR_REASON_STREAM_INTERRUPTED)
    return made(reason, "the stream has no end", code=grpc.StatusCode.UNAVAILABLE, metadata={"cause": cause})


def closed(what: str) -> OmnisphereError:
    """The error for a call whose owner closed the stream, or the whole client."""
    return made(_name(reasons.ERROR_REASON_CANCELLED), f"the {what} was closed", code=grpc.StatusCode.CANCELLED)


def unreached(target: str, seconds: float) -> OmnisphereError:
    """The error for a router that did not take the first connection."""
    return made(
        _name(reasons.ERROR_REASON_PEER_UNAVAILABLE),
        f"no router answers at {target} within {seconds:g} s",
        code=grpc.StatusCode.UNAVAILABLE,
        metadata={"peer": "router"},
    )


def _status(failure: _Failed) -> status_pb2.Status | None:
    """The rich status of a failed call; None where there is none, or where a proxy rewrote its code."""
    try:
        status: status_pb2.Status | None = rpc_status.from_call(failure)
    except ValueError:
        return None
    return status
