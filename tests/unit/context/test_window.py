"""What must stay stays; then the newest that fit, without holes, from a question on."""

from __future__ import annotations

from omnisphere.context.v1 import context_service_pb2 as pb
from services.context.units import split
from services.context.window import choose
from tests.unit.context.conversations import assistant, calls, results, system, user

Decision = pb.UnitDecision


def kept(messages, room, sizes=None):
    """Indexes of the units that stay, each unit one token large unless said."""
    units = split(messages)
    choices = choose(units, sizes or [1] * len(units), room)
    return [index for index, choice in enumerate(choices) if choice.kept]


def reasons(messages, room):
    units = split(messages)
    return [choice.reason for choice in choose(units, [1] * len(units), room)]


def test_what_fits_stays_whole():
    odd = [assistant("hello"), results("z"), user("u"), results("y")]
    assert kept(odd, 4) == [0, 1, 2, 3]


def test_the_newest_turns_stay():
    messages = [system("s"), user("1"), assistant("1"), user("2"), assistant("2"), user("3")]
    assert kept(messages, 4) == [0, 3, 4, 5]
    assert reasons(messages, 4) == [
        Decision.REASON_SYSTEM,
        Decision.REASON_NO_ROOM,
        Decision.REASON_NO_ROOM,
        Decision.REASON_RECENT,
        Decision.REASON_RECENT,
        Decision.REASON_LAST_USER,
    ]


def test_a_window_has_no_holes():
    messages = [user("1"), assistant("1"), user("2"), assistant("2"), user("3")]
    assert kept(messages, 5, sizes=[1, 1, 1, 9, 1]) == [4]


def test_a_window_opens_with_a_question():
    messages = [user("1"), assistant("1"), user("2"), assistant("2"), user("3")]
    assert kept(messages, 4) == [2, 3, 4]
    assert kept(messages, 2) == [4]
    tools = [user("1"), calls("a"), results("a"), assistant("1"), user("2")]
    assert kept(tools, 3) == [3]


def test_a_window_may_open_right_behind_a_pinned_unit():
    messages = [user("0"), user("1", pinned=True), assistant("1"), user("2")]
    assert kept(messages, 3) == [1, 2, 3]


def test_pinned_units_stay_across_a_gap():
    messages = [user("1", pinned=True), assistant("1"), user("2"), assistant("2"), user("3")]
    assert kept(messages, 3) == [0, 4]
    assert reasons(messages, 3)[0] == Decision.REASON_PINNED


def test_a_tool_use_stays_or_goes_as_a_whole():
    messages = [user("1"), calls("a", "b"), results("a"), results("b"), assistant("1"), user("2")]
    assert [unit.length for unit in split(messages)] == [1, 3, 1, 1]
    assert kept(messages, 4, sizes=[1, 3, 1, 1]) == [3]
    assert kept(messages, 6, sizes=[1, 3, 1, 1]) == [0, 1, 2, 3]


def test_an_open_tool_loop_stays():
    messages = [user("1"), assistant("1"), user("2"), calls("a"), results("a"), calls("b"), results("b")]
    assert kept(messages, 3) == [2, 3, 4]
    assert reasons(messages, 3)[2:] == [
        Decision.REASON_LAST_USER,
        Decision.REASON_OPEN_TOOL_CALL,
        Decision.REASON_OPEN_TOOL_CALL,
    ]


def test_orphans_go_first():
    messages = [user("1"), results("z"), assistant("1"), user("2"), results("y")]
    assert kept(messages, 4) == [0, 2, 3]
    assert reasons(messages, 4)[1] == Decision.REASON_NO_ROOM


def test_a_pinned_orphan_stays():
    assert kept([user("1"), results("z", pinned=True), user("2")], 2) == [1, 2]


def test_what_must_stay_stays_even_without_room():
    messages = [system("s"), user("1"), assistant("1"), user("2")]
    assert kept(messages, 0) == [0, 3]
    assert kept(messages, -5) == [0, 3]


def test_without_a_question_the_last_unit_stays():
    assert kept([assistant("1"), calls("a"), results("a")], 1) == [1]
    assert kept([system("s"), system("t")], 1) == [0, 1]
    assert kept([results("z"), results("y"), assistant("x")], 1) == [1]
