"""Every error survives the way through a status; what gRPC itself says becomes one of ours."""

from __future__ import annotations

from datetime import timedelta

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2

from omnisphere.providers.v1 import attempt_pb2
from services.chassis.errors import (
    BY_REASON,
    DeadlineExceeded,
    InvalidRequest,
    MessageTooLarge,
    PeerUnavailable,
    ServiceError,
    Unimplemented,
    UnknownModel,
    from_code,
    from_status,
    to_status,
)

ATTEMPTS = attempt_pb2.AttemptsFailed(attempts=[attempt_pb2.Attempt(number=1, model="m")])
every = pytest.mark.parametrize("kind", BY_REASON.values(), ids=BY_REASON.keys())


def unpacked(status: status_pb2.Status, kind):
    found = []
    for detail in status.details:
        if detail.Is(kind.DESCRIPTOR):
            message = kind()
            detail.Unpack(message)
            found.append(message)
    return found


@every
def test_an_error_comes_back_as_it_was_sent(kind):
    sent = kind(
        retry_after=timedelta(seconds=7, milliseconds=5), details=[ATTEMPTS], **{key: f"a {key}" for key in kind.keys}
    )
    got = from_status(to_status(sent), peer="x", known=(attempt_pb2.AttemptsFailed,))
    assert type(got) is kind
    assert (got.metadata, got.retry_after, got.details) == (sent.metadata, sent.retry_after, (ATTEMPTS,))
    assert got.message() == sent.message()


@every
def test_an_error_without_anything_comes_back_so(kind):
    got = from_status(to_status(kind()), peer="x")
    assert type(got) is kind
    assert (got.metadata, got.retry_after, got.details) == ({}, None, ())
    assert got.message() == kind.text


@every
def test_a_status_has_the_code_and_an_error_info_of_ours(kind):
    status = to_status(kind())
    assert code_pb2.Code.Name(status.code) == kind.code.name != "UNKNOWN"
    (info,) = unpacked(status, error_details_pb2.ErrorInfo)
    assert (info.domain, info.reason) == ("omnisphere", kind.reason())
    assert BY_REASON[info.reason] is kind


def test_every_child_is_found_by_its_reason():
    assert set(BY_REASON.values()) == set(ServiceError.__subclasses__())
    assert len(BY_REASON) == len(ServiceError.__subclasses__())


def test_an_invalid_request_names_its_field_for_every_grpc_client():
    status = to_status(InvalidRequest(field="a.b", problem="is odd"))
    (bad,) = unpacked(status, error_details_pb2.BadRequest)
    assert [(v.field, v.description) for v in bad.field_violations] == [("a.b", "is odd")]
    assert status.message == "the request is not valid (field: a.b, problem: is odd)"


def test_details_that_nobody_asked_for_are_left_out():
    got = from_status(to_status(PeerUnavailable(details=[ATTEMPTS])), peer="x")
    assert got.details == ()


def test_empty_metadata_is_left_out_and_long_values_are_cut():
    error = UnknownModel(name="", known="a," * 5_000)
    assert list(error.metadata) == ["known"]
    assert len(error.metadata["known"]) == 1_024
    assert error.metadata["known"].endswith("...")


def test_the_text_of_an_exception_is_its_reason_alone():
    assert str(UnknownModel(name="secret")) == "UNKNOWN_MODEL"


@pytest.mark.parametrize(
    ("domain", "reason"), [("googleapis.com", "NOT_FOUND"), ("omnisphere", "FROM_A_NEWER_RELEASE"), ("", "")]
)
def test_a_reason_that_is_not_known_is_taken_by_its_code(domain, reason):
    packed = any_pb2.Any()
    packed.Pack(error_details_pb2.ErrorInfo(domain=domain, reason=reason))
    status = status_pb2.Status(code=code_pb2.DEADLINE_EXCEEDED, details=[packed])
    got = from_status(status, peer="cache")
    assert isinstance(got, DeadlineExceeded)
    assert got.metadata == {"step": "cache"}


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, MessageTooLarge),
        (grpc.StatusCode.UNIMPLEMENTED, Unimplemented),
        (grpc.StatusCode.UNAVAILABLE, PeerUnavailable),
        (grpc.StatusCode.CANCELLED, PeerUnavailable),
        (grpc.StatusCode.UNKNOWN, PeerUnavailable),
    ],
)
def test_what_grpc_itself_says_becomes_one_of_ours(code, kind):
    assert type(from_code(code, peer="x")) is kind
