"""Books that differ are told apart, each by its own line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.books.compare import Books, differences
from bench.books.play import Told
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb

TOKENS = {"input_uncached": 10, "input_cache_read": 0, "input_cache_write": 0, "output": 5, "reasoning": 0}
ATTEMPT = {
    "request_id": "r",
    "tenant": "t",
    "model": "m",
    "endpoint": "e",
    "purpose": "answer",
    "outcome": "ok",
    "http_status": 200,
    "upstream_id": "u",
    **TOKENS,
    "estimated": 0,
    "cost_nanousd": 700,
    "priced": 1,
}
REQUEST = {
    "request_id": "r",
    "tenant": "t",
    "strategy": "rule",
    "task": "simple_qa",
    "model": "m",
    "cache": "miss",
    "finish": "stop",
    "error": "",
    "attempts": 1,
    "fallbacks": 0,
    "escalations": 0,
    **TOKENS,
    "cost_nanousd": 700,
    "priced": 1,
    "cache_savings_nanousd": 0,
    "routing_savings_nanousd": 0,
    "shared_with": "",
    "replayed": 0,
}
USAGE = pb.UsageRow(
    keys=["t", "m"],
    requests=1,
    usage=chat_pb2.Usage(input_uncached_tokens=10, output_tokens=5),
    cost=chat_pb2.Cost(nanousd=700, priced=True),
)
SAMPLES = (
    ("omnisphere_providers_attempts_total", {"model": "m", "endpoint": "e", "purpose": "answer", "outcome": "ok"}, 1.0),
    ("omnisphere_providers_cost_nanousd_total", {"model": "m", "source": "reported"}, 700.0),
    ("omnisphere_providers_tokens_total", {"model": "m", "class": "input_uncached", "source": "reported"}, 10.0),
    ("omnisphere_providers_tokens_total", {"model": "m", "class": "output", "source": "reported"}, 5.0),
    (
        "omnisphere_router_requests_total",
        {"strategy": "rule", "task": "simple_qa", "cache": "miss", "reason": ""},
        1.0,
    ),
    ("omnisphere_router_cost_nanousd_total", {"model": "m"}, 700.0),
)
BOOKS = Books(
    upstream={"m": {"requests": 1, "completed": 1, "input_tokens": 10, "output_tokens": 5, "cost_nanousd": 700}},
    attempts=[ATTEMPT],
    attempt_lines=[ATTEMPT],
    requests=[REQUEST],
    request_lines=[REQUEST],
    metrics=SAMPLES,
    usage=[USAGE],
    told=[Told("t", "r", "whole", code="OK", cost_nanousd=700)],
)


def test_books_that_agree_have_no_difference():
    assert differences(BOOKS) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"attempt_lines": [ATTEMPT, ATTEMPT]}, "attempt: 1 x in the log alone"),
        ({"request_lines": []}, "request: 1 x in the file alone"),
        ({"upstream": {}}, "m: requests 1 in the ledger, the upstream says 0"),
        ({"usage": []}, "GetUsage says nothing of ('t', 'm')"),
        ({"told": []}, "('t', 'r'): a row of nobody"),
        ({"told": [*BOOKS.told, *BOOKS.told]}, "2 callers (['OK', 'OK']), 1 rows"),
        ({"told": [Told("t", "r", "whole", code="OK", cost_nanousd=1)]}, "r: the caller was told 1, the row says 700"),
        ({"told": [Told("t", "r", "whole", code="UNAVAILABLE")]}, "the row says that it was answered"),
        ({"metrics": SAMPLES[:-1]}, "omnisphere_router_('cost_nanousd', 'm'): 0 in the metrics, 700 in the rows"),
        (
            {"requests": [{**REQUEST, "priced": 0}], "request_lines": [{**REQUEST, "priced": 0}]},
            "r: nobody says what it cost",
        ),
    ],
)
def test_a_book_that_says_something_else_is_named(changed, said):
    found = differences(replace(BOOKS, **changed))
    assert [line for line in found if said in line], found


def test_what_a_request_took_is_what_its_attempts_took():
    dear = {**REQUEST, "cost_nanousd": 900}
    found = differences(replace(BOOKS, requests=[dear], request_lines=[dear]))
    assert [line for line in found if "attempts took" in line], found
