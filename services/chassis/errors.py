"""Errors that may leave a service: each knows its gRPC code, its reason and what it may say.

The reason is the class name in UPPER_SNAKE and stands in errors/v1/error_reason.proto. The text of a status is
made here from the class and its metadata; the text of a foreign exception never travels.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar, Self

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

DOMAIN = "omnisphere"
# A status travels in headers, three times over and encoded; above 8 KiB of them gRPC drops it.
_MOST_VALUE = 1_024
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


class ServiceError(Exception):
    """A failure that a caller may see. Children set `code`, `keys` and `text`.

    `metadata` says what a program can use; its keys are the contract of the reason. `retry_after` becomes RetryInfo.
    `details` are further messages for the status, for example the attempts that were made.
    """

    code: ClassVar[grpc.StatusCode] = grpc.StatusCode.INTERNAL
    keys: ClassVar[frozenset[str]] = frozenset()
    text: ClassVar[str] = "the call failed"

    def __init__(
        self,
        *,
        retry_after: timedelta | None = None,
        details: Sequence[Message] = (),
        **metadata: str,
    ) -> None:
        super().__init__(self.reason())
        self.metadata = {key: _cut(value) for key, value in metadata.items() if value}
        self.retry_after = retry_after
        self.details = tuple(details)
        # Known by who called alone: the request has not left this process.
        self.never_sent = False

    @classmethod
    def reason(cls) -> str:
        """The name in ErrorInfo.reason, for example INVALID_REQUEST."""
        return _HUMP.sub("_", cls.__name__).upper()

    def before_sending(self) -> Self:
        """The same, of a call that has not left this process."""
        self.never_sent = True
        return self

    def message(self) -> str:
        """One line for a person, without anything that the reason's keys do not allow."""
        said = ", ".join(f"{key}: {value}" for key, value in sorted(self.metadata.items()))
        return f"{self.text} ({said})" if said else self.text


class InvalidRequest(ServiceError):
    """The request can never succeed as it is."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    keys = frozenset({"field", "problem"})
    text = "the request is not valid"


class UnknownModel(ServiceError):
    """No model has this name, here or at the provider."""

    code = grpc.StatusCode.NOT_FOUND
    keys = frozenset({"name", "known", "provider", "provider_type", "status"})
    text = "no model has this name"


class UnknownPolicy(ServiceError):
    """No policy has this name."""

    code = grpc.StatusCode.NOT_FOUND
    keys = frozenset({"name", "known"})
    text = "no policy has this name"


class ContextTooLong(ServiceError):
    """The conversation does not fit the window, even after what may be cut was cut."""

    code = grpc.StatusCode.INVALID_ARGUMENT
    keys = frozenset({"tokens", "window", "model", "provider", "provider_type", "status"})
    text = "the conversation does not fit the model's window"


class ProviderRateLimited(ServiceError):
    """The provider limits our rate."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    keys = frozenset({"attempts", "provider", "provider_type", "status"})
    text = "the provider limits our rate"


class ProviderUnavailable(ServiceError):
    """The provider failed, hung up or cannot be reached."""

    code = grpc.StatusCode.UNAVAILABLE
    keys = frozenset({"attempts", "provider", "provider_type", "status", "cause"})
    text = "the provider is not available"


class StreamInterrupted(ServiceError):
    """The answer broke off after its first words."""

    code = grpc.StatusCode.UNAVAILABLE
    keys = frozenset({"attempts", "provider", "provider_type", "cause"})
    text = "the answer broke off"


class ProviderRejected(ServiceError):
    """The provider refuses the request, and would refuse it again."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    keys = frozenset({"attempts", "provider", "provider_type", "status"})
    text = "the provider refuses the request"


class ContentFiltered(ServiceError):
    """The provider's filter refused the request."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    keys = frozenset({"provider", "provider_type", "status"})
    text = "the provider's content filter refused the request"


class ProviderAuth(ServiceError):
    """The provider does not accept our key. Nothing the caller can mend."""

    code = grpc.StatusCode.INTERNAL
    keys = frozenset({"attempts", "provider", "provider_type", "status"})
    text = "the provider does not accept the key of this deployment"


class NoCandidateLeft(ServiceError):
    """Every model of the plan failed, or none suits."""

    code = grpc.StatusCode.UNAVAILABLE
    keys = frozenset({"attempts"})
    text = "no model is left to ask"


class NoEndpoint(ServiceError):
    """The model is known, but there is no endpoint for it here."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    keys = frozenset({"model"})
    text = "no endpoint serves this model here"


class Unpriced(ServiceError):
    """Nobody knows what the model costs, and this deployment does not call such models."""

    code = grpc.StatusCode.FAILED_PRECONDITION
    keys = frozenset({"model"})
    text = "the price of this model is not known"


class Overloaded(ServiceError):
    """One of our own queues is full."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    keys = frozenset({"queue"})
    text = "too much at once"


class MessageTooLarge(ServiceError):
    """The message is larger than the method allows."""

    code = grpc.StatusCode.RESOURCE_EXHAUSTED
    keys = frozenset({"limit_bytes"})
    text = "the message is too large"


class DeadlineExceeded(ServiceError):
    """The time ran out."""

    code = grpc.StatusCode.DEADLINE_EXCEEDED
    keys = frozenset({"step"})
    text = "the time ran out"


class PeerUnavailable(ServiceError):
    """A service of the mesh does not answer."""

    code = grpc.StatusCode.UNAVAILABLE
    keys = frozenset({"peer"})
    text = "a service of the mesh does not answer"


class NotFound(ServiceError):
    """There is nothing under this id."""

    code = grpc.StatusCode.NOT_FOUND
    keys = frozenset({"name"})
    text = "there is nothing under this id"


class Unauthenticated(ServiceError):
    """The caller did not say who it is in a way that this deployment accepts."""

    code = grpc.StatusCode.UNAUTHENTICATED
    keys = frozenset({"problem"})
    text = "the caller is not known"


class Unimplemented(ServiceError):
    """The method is part of the contract, and this release does not serve it yet."""

    code = grpc.StatusCode.UNIMPLEMENTED
    keys = frozenset({"method"})
    text = "not served yet"


class Internal(ServiceError):
    """Our mistake; `error_id` finds the trace in the log."""

    code = grpc.StatusCode.INTERNAL
    keys = frozenset({"error_id"})
    text = "our mistake"

    @classmethod
    def with_id(cls) -> Internal:
        """With a fresh id, to be logged beside the trace."""
        return cls(error_id=secrets.token_hex(8))


class Cancelled(ServiceError):
    """The call was given up before its end."""

    code = grpc.StatusCode.CANCELLED
    text = "the call was given up"


BY_REASON: dict[str, type[ServiceError]] = {kind.reason(): kind for kind in ServiceError.__subclasses__()}


def to_status(error: ServiceError) -> status_pb2.Status:
    """The error as a google.rpc.Status with ErrorInfo, and RetryInfo or BadRequest where they say something."""
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason(), domain=DOMAIN, metadata=error.metadata)
    ]
    if error.retry_after is not None:
        delay = duration_pb2.Duration()
        delay.FromTimedelta(error.retry_after)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    if isinstance(error, InvalidRequest):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=error.metadata.get("field", ""), description=error.metadata.get("problem", "")
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    details.extend(error.details)
    return status_pb2.Status(code=_number(error.code), message=error.message(), details=[_packed(m) for m in details])


def from_status(status: status_pb2.Status, *, peer: str, known: Sequence[type[Message]] = ()) -> ServiceError:
    """The error that a status of one of our own services stands for. `known` are details to unpack."""
    info, retry_after, details = None, None, []
    for packed in status.details:
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.RetryInfo, *known):
            if not packed.Is(kind.DESCRIPTOR):
                continue
            message = kind()
            packed.Unpack(message)
            if isinstance(message, error_details_pb2.ErrorInfo):
                info = message
            elif isinstance(message, error_details_pb2.RetryInfo):
                retry_after = message.retry_delay.ToTimedelta()
            else:
                details.append(message)
    if info is None or info.domain != DOMAIN or info.reason not in BY_REASON:
        return from_code(_code(status.code), peer=peer)
    return BY_REASON[info.reason](retry_after=retry_after, details=details, **dict(info.metadata))


def from_code(code: grpc.StatusCode, *, peer: str) -> ServiceError:
    """The error for a status that gRPC itself made, so that it has no details."""
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return DeadlineExceeded(step=peer)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return MessageTooLarge()
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return Unimplemented(method=peer)
    return PeerUnavailable(peer=peer)


def from_rpc_error(error: grpc.aio.AioRpcError, *, peer: str, known: Sequence[type[Message]] = ()) -> ServiceError:
    """The error that a failed call to one of our own services stands for."""
    status = rpc_status.from_call(error)
    if status is None:
        return from_code(error.code(), peer=peer)
    return from_status(status, peer=peer, known=known)


def _cut(value: str) -> str:
    return value if len(value) <= _MOST_VALUE else value[: _MOST_VALUE - 3] + "..."


def _packed(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def _number(code: grpc.StatusCode) -> int:
    return int(code_pb2.Code.Value(code.name))


def _code(number: int) -> grpc.StatusCode:
    name = code_pb2.Code.Name(number)
    return grpc.StatusCode[name]
