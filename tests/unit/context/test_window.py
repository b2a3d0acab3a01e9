"""What must stay stays; then the newest, cut in blocks, from a question on."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from services.context.units import split
from services.context.window import cut, narrowed, newest
from tests.unit.context.conversations import assistant, calls, results, system, user

Decision = pb.UnitDecision


def window_of(messages, room, sizes=None):
    units = split(messages)
    sizes = sizes or [1] * len(units)
    return units, sizes, cut(units, sizes, room)


def kept(messages, room, sizes=None):
    """Indexes of the units that stay, each unit one token large unless said."""
    units, _, window = window_of(messages, room, sizes)
    return [index for index in range(len(units)) if window.kept[index]]


def reasons(messages, room):
    units, _, window = window_of(messages, room)
    return [window.reason(index) for index in range(len(units))]


def chatted(turns):
    """`turns` questions and answers, and a last question."""
    return [m for n in range(turns) for m in (user(f"q{n}"), assistant(f"a{n}"))] + [user("last")]


def test_what_fits_stays_whole():
    odd = [assistant("hello"), results("z"), user("u"), results("y")]
    assert kept(odd, 4) == [0, 1, 2, 3]


def test_a_full_window_is_cut_to_half_of_it():
    assert kept(chatted(4), 9) == list(range(9))
    assert kept(chatted(4), 8) == [6, 7, 8]
    assert reasons(chatted(4), 8)[4:] == [
        Decision.REASON_NO_ROOM,
        Decision.REASON_NO_ROOM,
        Decision.REASON_RECENT,
        Decision.REASON_RECENT,
        Decision.REASON_LAST_USER,
    ]


def test_between_two_cuts_the_window_starts_at_the_same_unit():
    starts = [window_of(chatted(turns), 8)[2].start for turns in range(12)]
    assert starts == [0, 0, 0, 0, 6, 6, 6, 12, 12, 12, 18, 18]


def test_instructions_stay_and_only_the_rest_is_halved():
    messages = [system("s"), *chatted(4)]
    assert kept(messages, 9, sizes=[1] * 10) == [0, 7, 8, 9]


def test_a_window_opens_with_a_question():
    messages = [user("1"), assistant("1"), user("2"), assistant("2"), user("3")]
    assert kept(messages, 4) == [4]
    assert kept(messages, 4, sizes=[2, 1, 1, 0, 1]) == [2, 3, 4]
    tools = [user("1"), calls("a"), results("a"), assistant("1"), user("2")]
    assert kept(tools, 3) == [3]


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
    assert kept(messages, 4) == [3]
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


def marked(message):
    changed = chat.Message()
    changed.CopyFrom(message)
    changed.parts[-1].cache_breakpoint = True
    return changed


def test_a_marked_start_stays_while_it_takes_half_of_the_room():
    messages = [user("document"), marked(assistant("read")), *chatted(4)]
    assert kept(messages, 8) == [0, 1, 6, 7, 8, 9, 10]
    assert reasons(messages, 8)[:2] == [Decision.REASON_CACHED_PREFIX] * 2
    assert kept(messages, 8, sizes=[4, 1, *[1] * 9])[0] > 1


def test_the_newest_exchanges_within_a_room():
    units, sizes, window = window_of(chatted(10), 15)
    assert window.start == 10
    assert newest(window, units, sizes, 1) == window.anchor == 20
    assert newest(window, units, sizes, 5) == 16
    assert narrowed(window, units, sizes, 18).used == 3
