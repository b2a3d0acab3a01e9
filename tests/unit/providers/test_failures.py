"""What a provider's failure means, and that its words stay here."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from services.providers import failures

NOW = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)
SECRET = "sk-canary-0123456789"  # noqa: S105 - stands for whatever a provider may say


def error(message: str = "", **rest: object) -> bytes:
    return json.dumps({"error": {"message": f"{message} {SECRET}", **rest}}).encode()


def read(status: int, body: bytes = b"", **headers: str) -> ServiceError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return failures.from_response(status, named, body, provider="p", model="m", now=NOW)


# status, body -> class, provider_type (None: the class does not carry it)
TABLE: list[tuple[int, bytes, type[ServiceError], str | None]] = [
    (400, error("bad", type="invalid_request_error", code=None), ProviderRejected, "invalid_request_error"),
    (400, error("bad", type=None, code="decimal_below_min_value"), ProviderRejected, "decimal_below_min_value"),
    (400, error("no", type="invalid_request_error", code="unsupported_parameter"), ProviderRejected, None),
    (400, error("tool", code="tool_use_failed"), ProviderRejected, "tool_use_failed"),
    (400, b"", ProviderRejected, "http_400"),
    (405, b"", ProviderRejected, "http_405"),
    (422, error("bad"), ProviderRejected, "http_422"),
    # The conversation is too long: a code at OpenAI, words everywhere else.
    (400, error("too long", code="context_length_exceeded"), ContextTooLong, "context_length_exceeded"),
    (400, error("prompt is too long: 3333404 tokens > 200000 maximum"), ContextTooLong, "http_400"),
    (400, error("The input token count (1250074) exceeds the maximum number of tokens"), ContextTooLong, "http_400"),
    (400, error("This endpoint's maximum context length is 200000 tokens.", code=400), ContextTooLong, "400"),
    (400, error("maximum context length is 1048565 tokens", code="invalid_request_error"), ContextTooLong, None),
    (400, error("prompt too long; exceeded max context length by 1119046 tokens"), ContextTooLong, "http_400"),
    (400, json.dumps({"error": "prompt too long; exceeded max context length"}).encode(), ContextTooLong, "http_400"),
    (422, error("Please reduce the length of the messages"), ContextTooLong, "http_422"),
    (413, b"<html>too large</html>", ContextTooLong, "http_413"),
    # Our key, our account.
    (401, error("Incorrect API key", code="invalid_api_key"), ProviderAuth, "invalid_api_key"),
    (401, json.dumps({"message": "invalid api token"}).encode(), ProviderAuth, "http_401"),
    (401, error("No auth", code=401), ProviderAuth, "401"),
    (402, error("Insufficient Balance"), ProviderAuth, "http_402"),
    (403, error("no", type="permission_error"), ProviderAuth, "permission_error"),
    # No such model: 404, or a 400 with the code.
    (404, error("model: x", type="not_found_error"), UnknownModel, None),
    (404, error("gone", code="DeploymentNotFound"), UnknownModel, None),
    (400, error("gone", code="model_not_found"), UnknownModel, None),
    (404, b"", UnknownModel, None),
    # Slower.
    (429, error("slow", type="rate_limit_error"), ProviderRateLimited, "rate_limit_error"),
    (429, error("quota", type="insufficient_quota"), ProviderRateLimited, "insufficient_quota"),
    (429, error("slow", code="RateLimitReached"), ProviderRateLimited, "ratelimitreached"),
    (429, b"", ProviderRateLimited, "http_429"),
    # Again.
    (500, b"<html>oops</html>", ProviderUnavailable, "http_500"),
    (502, b"", ProviderUnavailable, "http_502"),
    (503, b"overloaded", ProviderUnavailable, "http_503"),
    (503, error("busy", type="service_unavailable_error"), ProviderUnavailable, "service_unavailable_error"),
    (504, b"", ProviderUnavailable, "http_504"),
    (529, error("busy", type="overloaded_error"), ProviderUnavailable, "overloaded_error"),
    (408, b"", ProviderUnavailable, "http_408"),
    (409, b"", ProviderUnavailable, "http_409"),
    (425, b"", ProviderUnavailable, "http_425"),
    (302, b"", ProviderUnavailable, "http_302"),
    (204, b"", ProviderUnavailable, "http_204"),
    # The filter.
    (400, error("policy", code="content_filter"), ContentFiltered, "content_filter"),
    (400, error("policy", innererror={}, code="content_policy_violation"), ContentFiltered, None),
    (403, error("policy", type="content_filter"), ContentFiltered, "content_filter"),
]


@pytest.mark.parametrize(("status", "body", "kind", "provider_type"), TABLE)
def test_a_status_and_a_body_mean_one_error(status, body, kind, provider_type):
    found = read(status, body)
    assert type(found) is kind
    assert found.metadata["provider"] == "p"
    assert found.metadata["status"] == str(status)
    assert provider_type in (None, found.metadata["provider_type"])
    extra = {ContextTooLong: {"model"}, ProviderUnavailable: {"cause"}, UnknownModel: {"name"}}.get(kind, set())
    assert set(found.metadata) == {"provider", "status", "provider_type"} | extra


@pytest.mark.parametrize(("status", "body", "kind", "provider_type"), TABLE)
def test_the_words_of_a_provider_never_travel(status, body, kind, provider_type):
    found = read(status, body)
    assert set(found.metadata) <= found.keys
    assert SECRET not in f"{found!r} {found.message()} {found.metadata}"


def test_a_type_that_is_no_word_is_replaced_by_the_code_or_the_status():
    assert failures.provider_type({"type": "No Auth Found!", "code": "Bad_Key"}, 401) == "bad_key"
    assert failures.provider_type({"type": f"x{SECRET} words", "code": None}, 401) == "http_401"
    assert failures.provider_type({"type": "x" * 65}, 500) == "http_500"
    assert failures.provider_type({"type": "x" * 64}, 500) == "x" * 64
    assert failures.provider_type({"type": True, "code": ["a"]}, 500) == "http_500"
    assert failures.provider_type({"code": 429}, 200) == "429"


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"[]", b"null", b"7", b'"text"', b'{"error": null}', b'{"error": []}', b"[" * 100_000, b"[[1]]"],
)
def test_a_body_that_is_no_error_object_leaves_the_status(body):
    found = read(503, body)
    assert type(found) is ProviderUnavailable
    assert found.metadata == {"provider": "p", "status": "503", "provider_type": "http_503", "cause": "status"}


def test_google_wraps_its_error_in_a_list():
    body = json.dumps([{"error": {"code": 400, "message": "x", "status": "INVALID_ARGUMENT"}}]).encode()
    assert type(read(400, body)) is ProviderRejected
    assert read(400, body).metadata["provider_type"] == "invalid_argument"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "7"}, 7),
        ({"retry_after": "0.5"}, 0.5),
        ({"retry_after": "0"}, 0),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "2", "retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "1", "retry_after_ms": "0"}, 1),  # as Azure sends it
        ({"retry_after": "2", "retry_after_ms": "soon"}, 2),
        ({"retry_after": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, 90),
        ({"retry_after": format_datetime(NOW - timedelta(seconds=90), usegmt=True)}, 0),
        ({"retry_after": "Sun, 01 Nov 2026 12:00:30 -0000"}, 30),
        ({"retry_after": "86400"}, 3600),
        ({"retry_after": "1e300"}, 3600),
        ({"retry_after": "Fri, 31 Dec 9999 23:59:59 GMT"}, 3600),
        ({"retry_after": "-1"}, None),
        ({"retry_after": "nan"}, None),
        ({"retry_after": "inf"}, None),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "Mon, 99 Foo 2026 12:00:00 GMT"}, None),
        ({"retry_after": "Fri, 31 Dec 9999 23:59:59 -2359"}, 3600),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_read_from_seconds_milliseconds_or_a_date(headers, seconds):
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert read(429, **headers).retry_after == expected
    assert read(503, **headers).retry_after == expected
    assert read(400, **headers).retry_after is None


def test_google_says_in_the_body_how_long_to_wait():
    def limited(details: object) -> ServiceError:
        return read(429, json.dumps([{"error": {"code": 429, "details": details}}]).encode())

    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo"}
    assert limited([{"@type": "x"}, info | {"retryDelay": "34.4s"}]).retry_after == timedelta(seconds=34.4)
    assert limited([info | {"retryDelay": "48s"}]).retry_after == timedelta(seconds=48)
    assert limited([info | {"retryDelay": "999999999s"}]).retry_after == timedelta(hours=1)
    wrong = [7, {"retryDelay": 5}, {"retryDelay": "soon"}, {"retryDelay": "-1s"}]
    nothing: tuple[object, ...] = (None, {}, "48s", wrong)
    for garbage in nothing:
        assert limited(garbage).retry_after is None


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_header_is_too_strange(seconds, milliseconds):
    found = failures.retry_after({"retry-after": seconds, "retry-after-ms": milliseconds}, NOW)
    assert found is None or timedelta(0) <= found <= timedelta(hours=1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["error", "type", "code"]), inner),
    max_leaves=6,
)


@given(st.integers(100, 599), JSON)
def test_every_status_and_body_has_a_meaning(status, document):
    found = read(status, json.dumps(document).encode())
    assert set(found.metadata) <= found.keys


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"code": 400, "message": "maximum context length is 8 tokens"}, ContextTooLong),
        ({"code": "insufficient_quota"}, ProviderRateLimited),
        ({"type": "rate_limit_error"}, ProviderRateLimited),
        ({"code": 429}, ProviderRateLimited),
        ({"code": "tool_use_failed"}, ProviderUnavailable),
        ({"message": "Token limit reached", "code": 400}, ProviderUnavailable),
        ({}, ProviderUnavailable),
    ],
)
def test_an_error_inside_a_good_status_has_a_meaning_too(body, kind):
    found = failures.from_error_object(body | {"param": SECRET}, provider="p", model="m")
    assert type(found) is kind
    assert found.metadata["status"] == "200"
    assert set(found.metadata) <= found.keys
    assert SECRET not in f"{found.message()} {found.metadata}"
