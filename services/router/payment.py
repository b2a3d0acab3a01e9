"""Who pays for calls to models, and what a call that failed has cost, as far as anybody says. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from omnisphere.providers.v1 import attempt_pb2
from services.chassis.errors import InvalidRequest, NoEndpoint, Overloaded, ServiceError, UnknownModel, Unpriced

# With these nothing was sent.
_FREE = (InvalidRequest, NoEndpoint, Overloaded, UnknownModel, Unpriced)


class Unsaid(NamedTuple):
    """A call that ended without a word of what it cost: the providers' books know, and about so much was expected."""

    call_id: str
    expected_nanousd: int


class Payer(Protocol):
    """What calls to models are paid from."""

    def attempted(self, attempts: Iterable[attempt_pb2.Attempt]) -> None:
        """Calls that were made, good or bad; their tokens and money add up."""

    def unsaid(self, call: Unsaid) -> None:
        """A call whose cost is not known here."""


def pay_failed(payer: Payer, failure: BaseException, call_id: str = "", *, expected_nanousd: int = 0) -> None:
    """A call failed or was given up: what was tried is paid for, or nobody says what that was. Once for each call."""
    details = failure.details if isinstance(failure, ServiceError) else ()
    tried = [detail for detail in details if isinstance(detail, attempt_pb2.AttemptsFailed)]
    for detail in tried:
        payer.attempted(detail.attempts)
    if not tried and not isinstance(failure, _FREE) and not (isinstance(failure, ServiceError) and failure.never_sent):
        payer.unsaid(Unsaid(call_id, expected_nanousd))
