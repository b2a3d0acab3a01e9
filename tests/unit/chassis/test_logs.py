"""Lines say what happened, to which request; the text of an exception or of a library is in none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from services.chassis import call_context
from services.chassis.call_context import CallContext
from services.chassis.identity import Caller
from services.chassis.logs import quieten_libraries
from tests.fakes.log import ReadableLog

SECRET = "sk-secret of the prompt"  # noqa: S105 - what must not appear


@pytest.fixture
def libraries() -> Iterator[ReadableLog]:
    """A log that libraries write into; the root logger is put back afterwards."""
    root = logging.getLogger()
    before = root.handlers, root.level
    log = ReadableLog()
    quieten_libraries(log)
    yield log
    root.handlers, root.level = before[0], before[1]


def failure(depth: int = 3) -> Exception:
    def fail(left: int) -> None:
        if left:
            fail(left - 1)
        raise ValueError(SECRET)

    try:
        fail(depth)
    except ValueError as caught:
        return caught
    raise AssertionError


def test_a_line_is_one_json_object_with_its_fields():
    log = ReadableLog("cache")
    log.info("stored", entries=3, ratio=0.5, warm=True, name=None)
    (line,) = log.lines
    assert line.pop("time") > 1_700_000_000
    assert line == {
        "level": "info",
        "service": "cache",
        "event": "stored",
        "entries": 3,
        "ratio": 0.5,
        "warm": True,
        "name": None,
    }


def test_a_line_break_in_a_field_does_not_make_two_lines():
    log = ReadableLog()
    log.info("x", name="a\nb\u2028c")
    assert len(log.lines) == 1


@pytest.mark.parametrize(("level", "expected"), [("debug", 3), ("info", 3), ("warning", 2), ("error", 1)])
def test_lines_below_the_level_are_not_written(level, expected):
    log = ReadableLog(level=level)
    log.info("a")
    log.warning("b")
    log.error("c")
    assert len(log.lines) == expected


def test_of_an_exception_type_and_place_are_written_and_never_its_text():
    log = ReadableLog()
    log.error("failed", failure())
    (line,) = log.lines
    assert line["type"] == "ValueError"
    assert line["trace"].split(" > ")[-1].endswith(" fail")
    assert "test_logs.py:" in line["trace"]
    assert SECRET not in log.text


def test_a_deep_trace_is_cut_at_its_inner_end():
    log = ReadableLog()
    log.error("failed", failure(depth=50))
    assert log.lines[0]["trace"].count(" > ") == 11


def test_lines_of_a_request_carry_its_id_tenant_and_trace():
    log = ReadableLog()
    with call_context.entered(CallContext(Caller("acme"), "r-1", "1" * 32)):
        log.info("x")
    assert {key: log.lines[0][key] for key in ("request_id", "tenant", "trace_id")} == {
        "request_id": "r-1",
        "tenant": "acme",
        "trace_id": "1" * 32,
    }


def test_libraries_are_heard_without_their_words(libraries):
    logger = logging.getLogger("httpx")
    logger.warning("GET https://api.x/?key=%s", SECRET)
    logger.error(SECRET, exc_info=failure())
    warned, failed = libraries.events("library")
    assert SECRET not in libraries.text
    assert (warned["logger"], warned["library_level"], warned["type"]) == ("httpx", "warning", None)
    assert (failed["library_level"], failed["type"]) == ("error", "ValueError")
    assert "test_logs.py:" in warned["where"]


def test_what_libraries_say_below_a_warning_is_not_heard(libraries):
    logging.getLogger("httpx").info(SECRET)
    assert libraries.text == ""


async def test_a_task_that_nobody_awaits_is_heard_without_its_words(libraries):
    loop = asyncio.get_running_loop()
    loop.call_exception_handler({"message": SECRET, "exception": failure()})
    (line,) = libraries.events("library")
    assert (line["logger"], line["type"]) == ("asyncio", "ValueError")
    assert SECRET not in libraries.text
