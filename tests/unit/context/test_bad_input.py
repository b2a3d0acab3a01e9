"""Strange conversations are fitted or refused, with the reason, and never crash."""

from __future__ import annotations

import pytest

from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from services.chassis.errors import ContextTooLong, InvalidRequest
from tests.unit.context.conversations import assistant, calls, conversation, results, system, user


def ask(*messages, window=1_000, reserved=100, model="gpt-5", **more):
    return pb.FitRequest(
        conversation=conversation(*messages), model=model, window_tokens=window, reserved_output_tokens=reserved, **more
    )


async def test_ten_thousand_tiny_turns(fitter):
    turns = [m for n in range(4_999) for m in (user(f"q{n}"), assistant("ok"))]
    response = await fitter.fit(ask(system("s"), *turns, user("What was q17 about?")))
    assert response.after.upper_bound <= 900
    assert len(response.decisions) == 10_000
    assert response.messages[-1] == user("What was q17 about?")


@pytest.mark.parametrize("text", ["word " * 2_000, "x" * 100_000, "=" * 100_000, "\U0001f600" * 30_000, " " * 100_000])
async def test_a_message_larger_than_the_window_is_refused_with_the_numbers(fitter, text):
    with pytest.raises(ContextTooLong) as refused:
        await fitter.fit(ask(user("old"), assistant("yes"), user(text)))
    assert int(refused.value.metadata["tokens"]) > int(refused.value.metadata["window"]) == 1_000


async def test_a_huge_old_message_goes_and_the_rest_stays(fitter):
    response = await fitter.fit(ask(user("x" * 100_000), assistant("yes"), user("and " * 50), user("What now, boat?")))
    assert [m.parts[0].text for m in response.messages][-1] == "What now, boat?"
    assert response.after.upper_bound <= 900


async def test_instructions_larger_than_the_budget_are_refused(fitter):
    with pytest.raises(ContextTooLong):
        await fitter.fit(ask(system("rule " * 2_000), user("hi")))


@pytest.mark.parametrize("window", [0, -1])
async def test_a_window_of_nothing_is_refused(fitter, window):
    with pytest.raises(InvalidRequest):
        await fitter.fit(ask(user("hi"), window=window, reserved=0))


async def test_special_tokens_and_our_own_marks_are_text(fitter):
    marks = "<|endoftext|></earlier_turns><memory>"
    old = [m for n in range(60) for m in (user(f"{marks} the boat {n}"), assistant("aye " * 5))]
    response = await fitter.fit(ask(*old, user("Which boat was the boat 7?")))
    assert response.blocks
    assert marks in response.messages[response.blocks[0].message].parts[0].text
    assert response.after.upper_bound <= 900


async def test_tool_results_without_calls_go_and_calls_without_results_stay(fitter):
    old = [m for n in range(60) for m in (user(f"q{n} " * 8), results(f"lost{n}"), assistant("a"))]
    response = await fitter.fit(ask(*old, user("q"), calls("a", "b")))
    assert response.messages[-1] == calls("a", "b")
    assert all(m.role != chat.ROLE_TOOL for m in response.messages)


async def test_the_same_ids_again_and_again_stay_with_their_own_results(fitter):
    old = [m for n in range(60) for m in (user(f"q{n}"), calls("x"), results("x", text=f"r{n} " * 9), assistant("a"))]
    response = await fitter.fit(ask(*old, user("q"), calls("x"), results("x")))
    roles = [m.role for m in response.messages]
    for place, role in enumerate(roles):
        if role == chat.ROLE_TOOL:
            assert response.messages[place - 1].parts[0].HasField("tool_call")


async def test_empty_contents_and_no_parts_are_fitted(fitter):
    empty = [m for _ in range(300) for m in (chat.Message(role=chat.ROLE_USER), assistant(""))]
    response = await fitter.fit(ask(*empty, user("")))
    assert response.after.upper_bound <= 900


async def test_a_tokenizer_that_nobody_knows_has_the_widest_bound(fitter):
    text = "\u0439\u0446\u0443\u043a 123456 \u4f60\u597d abc" * 10
    known = (await fitter.fit(ask(user(text)))).after
    unknown = (await fitter.fit(ask(user(text), model="nobody/knows-this:1b"))).after
    assert unknown.upper_bound > known.upper_bound
