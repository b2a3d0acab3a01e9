"""A conversation splits into turns and tool uses, whatever is wrong with it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.context.units import Kind, split
from tests.unit.context.conversations import assistant, calls, conversations, nonsense, results, system, user


def kinds(*messages):
    return [(unit.kind, unit.length) for unit in split(messages)]


def test_every_turn_is_a_unit():
    assert kinds(system("s"), user("u"), assistant("a")) == [
        (Kind.INSTRUCTIONS, 1),
        (Kind.QUESTION, 1),
        (Kind.ANSWER, 1),
    ]


def test_parallel_calls_stay_with_all_their_results():
    assert kinds(user("u"), calls("a", "b"), results("b"), results("a"), assistant("x")) == [
        (Kind.QUESTION, 1),
        (Kind.TOOL_USE, 3),
        (Kind.ANSWER, 1),
    ]


def test_one_message_may_hold_several_results():
    assert kinds(calls("a", "b"), results("a", "b"), user("u")) == [(Kind.TOOL_USE, 2), (Kind.QUESTION, 1)]


def test_calls_without_results_are_a_unit():
    assert kinds(calls("a"), user("u")) == [(Kind.TOOL_USE, 1), (Kind.QUESTION, 1)]


def test_rounds_of_calls_are_units_of_their_own():
    assert kinds(calls("a"), results("a"), calls("b"), results("b")) == [(Kind.TOOL_USE, 2), (Kind.TOOL_USE, 2)]


def test_a_result_given_twice_stays_in_its_tool_use():
    assert kinds(calls("a"), results("a"), results("a")) == [(Kind.TOOL_USE, 3)]


def test_a_result_without_its_call_is_an_orphan():
    assert kinds(results("z"), user("u")) == [(Kind.ORPHANS, 1), (Kind.QUESTION, 1)]
    assert kinds(calls("a"), results("a"), results("z")) == [(Kind.TOOL_USE, 2), (Kind.ORPHANS, 1)]
    assert kinds(assistant("x"), results("z"), results("y")) == [(Kind.ANSWER, 1), (Kind.ORPHANS, 2)]


def test_a_stray_result_between_answers_stays_where_it_is():
    assert kinds(calls("a", "b"), results("a"), results("z"), results("b")) == [(Kind.TOOL_USE, 4)]


def test_a_late_result_is_an_orphan():
    assert kinds(calls("a"), user("u"), results("a"))[-1] == (Kind.ORPHANS, 1)


def test_a_unit_is_pinned_when_one_of_its_messages_is():
    assert [unit.is_pinned for unit in split([user("u"), calls("a"), results("a", pinned=True)])] == [False, True]


def test_nothing_has_no_units():
    assert split([]) == ()


@given(asked=st.one_of(conversations(), nonsense()))
def test_units_cover_the_conversation_without_gaps(asked):
    indexes = [index for unit in split(asked.messages) for index in unit.messages]
    assert indexes == list(range(len(asked.messages)))
