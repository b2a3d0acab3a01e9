"""What went wrong in an exchange has one word for its cause, and one error where there is more to say."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from omnisphere.providers.v1 import attempt_pb2
from services.chassis.errors import ProviderAuth, ProviderRateLimited, ProviderUnavailable
from services.providers.adapters import ErrorInAnswer, MalformedAnswer
from services.providers.endpoints import Endpoint
from services.providers.exchange import Exchange, named
from services.providers.sse import EventTooLarge

EXCHANGE = Exchange(
    operation="embeddings",
    model="m",
    endpoint=Endpoint(name="somewhere", base_url="http://nowhere", key=None, serves={"m": "m"}),
    price=None,
    headers={},
    path="/embeddings",
    body=b"{}",
    stream=False,
    purpose=attempt_pb2.PURPOSE_ANSWER,
    request_id="r",
    call_id="",
    started_wall=datetime(2026, 1, 1, tzinfo=UTC),
    started=0.0,
)


@pytest.mark.parametrize(
    ("failure", "cause", "kind"),
    [
        (MalformedAnswer(), "malformed", None),
        (MalformedAnswer("empty"), "empty", None),
        (EventTooLarge(), "too_large", None),
        (ErrorInAnswer({"type": "rate_limit_error"}), "rate_limit_error", ProviderRateLimited),
        (ErrorInAnswer({}), "http_200", ProviderUnavailable),
        (ProviderUnavailable(cause="hung_up"), "hung_up", ProviderUnavailable),
        (ProviderAuth(), "status", ProviderAuth),
    ],
)
def test_a_failure_has_a_cause_and_an_error_where_it_says_more(failure, cause, kind):
    meaning = named(failure, EXCHANGE)
    assert meaning is not None
    assert (meaning[0], type(meaning[1]) if meaning[1] else None) == (cause, kind)


def test_a_mistake_of_ours_is_named_by_nobody_here():
    assert named(ZeroDivisionError(), EXCHANGE) is None
