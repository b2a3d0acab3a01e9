"""What went wrong in an exchange has one word for its cause, and one error where there is more to say."""

from __future__ import annotations

import pytest

from services.chassis.errors import ProviderAuth, ProviderRateLimited, ProviderUnavailable
from services.providers.adapters import ErrorInAnswer, MalformedAnswer
from services.providers.exchange import address, named
from services.providers.sse import EventTooLarge


@pytest.mark.parametrize(
    ("failure", "cause", "kind"),
    [
        (MalformedAnswer(), "malformed", ProviderUnavailable),
        (MalformedAnswer("empty"), "empty", ProviderUnavailable),
        (EventTooLarge(), "too_large", ProviderUnavailable),
        (ErrorInAnswer({"type": "rate_limit_error"}), "rate_limit_error", ProviderRateLimited),
        (ErrorInAnswer({}), "http_200", ProviderUnavailable),
        (ProviderUnavailable(cause="hung_up"), "hung_up", ProviderUnavailable),
        (ProviderAuth(), "status", ProviderAuth),
    ],
)
def test_a_failure_has_a_cause_and_an_error_where_it_says_more(failure, cause, kind):
    meaning = named(failure, provider="somewhere", model="m")
    assert meaning is not None
    assert (meaning[0], type(meaning[1])) == (cause, kind)


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("malformed", "malformed"),
        ("empty", "empty"),
        ("stream_truncated", "stream_truncated"),
        ("dimensions", "malformed"),
    ],
)
def test_an_answer_that_is_none_is_told_in_our_own_words(kind, word):
    meaning = named(MalformedAnswer(kind), provider="somewhere", model="m")
    assert meaning is not None
    assert (meaning[1].metadata["provider_type"], meaning[1].metadata["cause"]) == (word, kind)


@pytest.mark.parametrize(("in_stream", "word"), [(True, "stream_truncated"), (False, "transport")])
def test_a_stream_whose_connection_broke_is_cut_and_a_whole_answer_is_not(in_stream, word):
    broken = ProviderUnavailable(cause="hung_up", provider_type="transport")
    meaning = named(broken, provider="somewhere", model="m", in_stream=in_stream)
    assert meaning is not None
    assert meaning[1].metadata["provider_type"] == word


def test_a_mistake_of_ours_is_named_by_nobody_here():
    assert named(ZeroDivisionError(), provider="somewhere", model="m") is None


def test_a_query_of_the_base_url_ends_the_address():
    assert address("http://h/v1", "/chat") == "http://h/v1/chat"
    assert address("http://h/v1?api-version=1", "/chat") == "http://h/v1/chat?api-version=1"
    assert address("http://h/v1/?a=1", "/x:stream?alt=sse") == "http://h/v1/x:stream?alt=sse&a=1"
