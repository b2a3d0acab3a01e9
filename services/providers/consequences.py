"""What a failed call says of the endpoint and the key that it went to. A table; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from services.chassis.errors import (
    ProviderAuth,
    ProviderRateLimited,
    ProviderUnavailable,
    ServiceError,
    StreamInterrupted,
    UnknownModel,
)

# The key is refused whatever is asked for; words of providers for an account without money.
_WHOLE_KEY_STATUS = frozenset({"401", "402"})
_WHOLE_KEY_WORDS = ("quota", "billing", "credit", "insufficient_balance")


@dataclass(frozen=True, slots=True)
class Consequence:
    """`down`: nobody useful was there, which the breaker counts. `rests`: what is left alone for a while.

    `same_again`: whether the very same endpoint and key may be asked again for this request.
    """

    down: bool = False
    rests: Literal["", "key", "key_model", "endpoint_model"] = ""
    seconds: float | None = None
    same_again: bool = False
    elsewhere: bool = False


_ANSWERED = Consequence()


def consequence(error: ServiceError) -> Consequence:
    """What follows from it."""
    seconds = error.retry_after.total_seconds() if error.retry_after is not None else None
    match error:
        case ProviderAuth():
            whole = error.metadata.get("status") in _WHOLE_KEY_STATUS
            return Consequence(rests="key" if whole else "key_model", elsewhere=True)
        case ProviderRateLimited():
            word = error.metadata.get("provider_type", "")
            if any(known in word for known in _WHOLE_KEY_WORDS):
                return Consequence(rests="key", seconds=seconds, elsewhere=True)
            return Consequence(rests="key_model", seconds=seconds, same_again=True, elsewhere=True)
        case UnknownModel():
            return Consequence(rests="endpoint_model", elsewhere=True)
        case ProviderUnavailable() | StreamInterrupted():
            slow = error.metadata.get("cause", "").endswith("timeout")
            rests: Literal["", "endpoint_model"] = "endpoint_model" if seconds is not None else ""
            return Consequence(down=True, rests=rests, seconds=seconds, same_again=not slow, elsewhere=True)
        case _:
            return _ANSWERED
