"""Known counts are not counted again, and memory stays bounded."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2 as chat
from services.context.families import Tokens
from services.context.memo import Memo, digest_of, scope_of
from tests.unit.context.conversations import user

SAID = scope_of("m", chat.Message)


def measured(log, value):
    def measure():
        log.append(value)
        return Tokens(value, value)

    return measure


def test_equal_messages_are_measured_once():
    memo, log = Memo[Tokens](10), list[int]()
    assert memo.get(SAID, digest_of(user("hi")), measured(log, 1)) == Tokens(1, 1)
    assert memo.get(SAID, digest_of(user("hi")), measured(log, 2)) == Tokens(1, 1)
    assert log == [1]


def test_models_and_types_are_kept_apart():
    memo, log = Memo[Tokens](10), list[int]()
    memo.get(SAID, digest_of(user("hi")), measured(log, 1))
    memo.get(scope_of("n", chat.Message), digest_of(user("hi")), measured(log, 2))
    memo.get(scope_of("m", chat.Tool), digest_of(chat.Tool()), measured(log, 3))
    memo.get(SAID, digest_of(chat.Message()), measured(log, 4))
    assert log == [1, 2, 3, 4]


def test_what_was_asked_for_longest_ago_is_forgotten():
    memo, log = Memo[Tokens](4), list[int]()
    for number, text in enumerate(["a", "b", "a", "c", "a", "d", "e", "a", "b"]):
        memo.get(SAID, digest_of(user(text)), measured(log, number))
        assert len(memo) <= 4
    assert log == [0, 1, 3, 5, 6, 8]


def test_one_request_may_have_more_than_is_remembered():
    memo = Memo[Tokens](2)
    digests = [digest_of(user(str(number))) for number in range(9)] * 2
    assert (
        memo.get_all(SAID, digests, lambda place: Tokens(place, place))
        == [Tokens(place, place) for place in range(9)] * 2
    )
    assert len(memo) <= 2
