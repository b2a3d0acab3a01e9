"""What a call carries, from metadata to metadata."""

from __future__ import annotations

import asyncio
import re

import pytest

from services.chassis import call_context
from services.chassis.call_context import CallContext, parse_trace
from services.chassis.identity import Caller

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALL = CallContext(Caller("acme"), "r-1", TRACE, "01", 50.0)


@pytest.mark.parametrize("flags", ["00", "01", "ff"])
def test_a_valid_trace_is_continued(flags):
    assert parse_trace(f"00-{TRACE}-{SPAN}-{flags}") == (TRACE, flags)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "nonsense",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"01-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
    ],
)
def test_an_invalid_trace_begins_a_new_one(value):
    trace, flags = parse_trace(value)
    assert re.fullmatch(r"[0-9a-f]{32}", trace)
    assert (trace != TRACE, flags) == (True, "00")
    assert parse_trace(value)[0] != trace


def test_what_goes_out_can_be_read_on_the_other_side():
    pairs = dict(call_context.outgoing(CALL))
    assert pairs["omnisphere-tenant"] == "acme"
    assert pairs["omnisphere-request-id"] == "r-1"
    assert parse_trace(pairs["traceparent"]) == (TRACE, "01")
    assert SPAN not in pairs["traceparent"]


def test_without_a_request_id_none_goes_out():
    pairs = call_context.outgoing(CallContext(Caller("acme"), "", TRACE))
    assert [key for key, _ in pairs] == ["omnisphere-tenant", "traceparent"]


@pytest.mark.parametrize(("now", "left"), [(40.0, 10.0), (50.0, 0.0), (60.0, 0.0)])
def test_what_is_left_is_never_below_nothing(now, left):
    assert CALL.remaining(now) == left
    assert CallContext(Caller("acme"), "", TRACE).remaining(now) is None


def test_of_metadata_all_text_values_of_a_key_count():
    metadata: list[tuple[str, str | bytes]] = [("a", "1"), ("a", "2"), ("b", b"bytes"), ("c", "3")]
    assert call_context.lookup(metadata, ("a", "b")) == {"a": "1, 2"}
    assert call_context.lookup(None, ("a",)) == {}


async def test_a_call_is_seen_by_its_task_and_those_it_starts_and_by_no_other():
    async def inner() -> str:
        return call_context.current().request_id

    async def outer() -> str:
        call_context.enter(CALL)
        return await asyncio.create_task(inner())

    assert await asyncio.create_task(outer()) == "r-1"
    assert call_context.current().request_id == ""
    assert call_context.current().caller.tenant == "default"


def test_a_call_that_is_entered_for_a_block_is_left_with_it():
    with call_context.entered(CALL):
        assert call_context.current() is CALL
    assert call_context.current().request_id == ""
