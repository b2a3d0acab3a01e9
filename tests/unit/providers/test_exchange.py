"""What went wrong in an exchange has one word for its cause, and one error where there is more to say."""

from __future__ import annotations

import pytest

from services.chassis.errors import ProviderAuth, ProviderRateLimited, ProviderUnavailable
from services.providers.adapters import ErrorInAnswer, MalformedAnswer
from services.providers.exchange import named
from services.providers.sse import EventTooLarge


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
    meaning = named(failure, provider="somewhere", model="m")
    assert meaning is not None
    assert (meaning[0], type(meaning[1]) if meaning[1] else None) == (cause, kind)


def test_a_mistake_of_ours_is_named_by_nobody_here():
    assert named(ZeroDivisionError(), provider="somewhere", model="m") is None
