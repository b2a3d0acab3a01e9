"""Fit keeps its promises for any conversation: the invariants, and the named rules of its journey."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from services.chassis.errors import ContextTooLong
from services.context.fit import reserved_tokens
from services.context.memo import Memo
from services.context.tokens import TokenCounter
from services.context.units import Kind, split
from tests.unit.context.conversations import assistant, calls, conversation, conversations, nonsense, results, user

MODELS = st.sampled_from(["gpt-5", "gpt-4", "claude-sonnet-4-5", "deepseek-chat", "gemini-2.5-pro", "sim-small"])
INSTRUCTIONS = (chat.ROLE_SYSTEM, chat.ROLE_DEVELOPER)
many = settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def ask(asked, window, *, model="gpt-5", reserved=1):
    return pb.FitRequest(conversation=asked, model=model, window_tokens=window, reserved_output_tokens=reserved)


def requests(asked, model, share, counter):
    """A request whose window is `share` of what the conversation needs."""
    needs = counter.count(asked, model).total().upper_bound
    return ask(asked, max(2, int(needs * share)), model=model)


async def fitted(fitter, request):
    """The response, or None when it is too long; the request must not have changed."""
    given_bytes = request.SerializeToString(deterministic=True)
    try:
        response = await fitter.fit(request)
    except ContextTooLong as failure:
        response, said = None, failure.metadata
    if response is None:
        assert int(said["tokens"]) > int(said["window"]) == request.window_tokens
    assert request.SerializeToString(deterministic=True) == given_bytes
    return response


def must_stay(messages):
    """The messages that no window may lose, found without the code under test."""
    last = max((i for i, m in enumerate(messages) if m.role == chat.ROLE_USER), default=len(messages))
    return [m for i, m in enumerate(messages) if m.role in INSTRUCTIONS or m.pinned or i >= last]


def is_subsequence(some, of):
    left = iter(of)
    return all(any(message == other for other in left) for message in some)


@many
@given(asked=conversations(), model=MODELS, share=st.floats(0.2, 1.1))
async def test_invariants_hold_for_conversations(fitter, counter, asked, model, share):
    request = requests(asked, model, share, counter)
    response = await fitted(fitter, request)
    if response is None:
        least = chat.Conversation(messages=must_stay(asked.messages), tools=asked.tools)
        needs = counter.count(least, model).total().upper_bound
        pinned_calls = any(unit.is_pinned and unit.length > 1 for unit in split(asked.messages))
        assert needs > response_budget(request) or pinned_calls
        event("too long")
        return
    event("cut" if len(response.messages) < len(asked.messages) else "whole")
    check_promises(request, response, counter)
    check_order_of_roles(asked, response)
    again = await fitter.fit(with_messages(request, response.messages))
    assert list(again.messages) == list(response.messages)


@many
@given(asked=nonsense(), model=MODELS, share=st.floats(0.2, 1.1))
async def test_promises_hold_for_nonsense(fitter, counter, asked, model, share):
    request = requests(asked, model, share, counter)
    response = await fitted(fitter, request)
    if response is not None:
        assert response.messages
        check_promises(request, response, counter)


def check_promises(request, response, counter):
    asked, kept = request.conversation.messages, response.messages
    budget = response_budget(request)
    afresh = TokenCounter(counter._encodings, Memo(1)).count(with_messages(request, kept).conversation, request.model)
    # 1: never over the budget, and the figures are those of the output.
    assert afresh.total().upper_bound == response.after.upper_bound <= budget == response.budget_tokens
    assert afresh.total().estimate == response.after.estimate <= response.after.upper_bound
    # 2, 3, 11: instructions, the last question and what follows it, and pinned messages are all there.
    if not any(unit.kind is Kind.ORPHANS for unit in split(asked)):
        assert is_subsequence(must_stay(asked), kept)
    assert [m for m in kept if m.role in INSTRUCTIONS] == [m for m in asked if m.role in INSTRUCTIONS]
    # 4: units whole or gone, as the decisions say; 5: order kept, nothing invented.
    chosen = [d for d in response.decisions if d.kept]
    assert [asked[d.first_message + n] for d in chosen for n in range(d.messages)] == list(kept)
    assert [(d.first_message, d.messages) for d in response.decisions] == [(u.first, u.length) for u in split(asked)]
    assert all(d.kept == (d.reason != pb.UnitDecision.REASON_NO_ROOM) for d in response.decisions)
    # 6: what fits already comes out as it was.
    if response.before.upper_bound <= budget:
        assert list(kept) == list(asked)
        assert response.before == response.after


def check_order_of_roles(asked, response):
    """10: calls are answered, results have their call, and a cut window opens with a question."""
    kept = response.messages
    open_calls = set()
    for message in kept:
        for piece in message.parts:
            if piece.HasField("tool_call"):
                open_calls.add(piece.tool_call.id)
            if piece.HasField("tool_result"):
                open_calls.remove(piece.tool_result.tool_call_id)
    assert not open_calls
    first = next(m for m in kept if m.role not in INSTRUCTIONS)
    whole = len(kept) == len(asked.messages)
    pinned_unit = any(d.kept and d.reason == pb.UnitDecision.REASON_PINNED for d in response.decisions)
    assert whole or pinned_unit or first.role == chat.ROLE_USER


def response_budget(request):
    return request.window_tokens - request.reserved_output_tokens


def with_messages(request, messages):
    changed = pb.FitRequest()
    changed.CopyFrom(request)
    del changed.conversation.messages[:]
    changed.conversation.messages.extend(messages)
    return changed


async def test_the_same_request_has_the_same_response_in_another_process(fitter, counter):
    # 8: a counter with nothing remembered stands for another replica.
    asked = conversation(*(turn for n in range(30) for turn in (user(f"q{n}"), assistant(f"a{n}"))), user("last"))
    request = ask(asked, 200)
    first = await fitter.fit(request)
    assert first.SerializeToString(deterministic=True) == (await fitter.fit(request)).SerializeToString(
        deterministic=True
    )
    fresh = TokenCounter(counter._encodings, Memo(1)).count(asked, "gpt-5")
    assert fresh.total().upper_bound == first.before.upper_bound


async def test_a_cut_says_what_became_of_each_unit(fitter):
    old = [user("old " * 50), calls("a"), results("a"), assistant("x")]
    response = await fitter.fit(ask(conversation(*old, user("new")), 60))
    assert list(response.messages) == [user("new")]
    assert [(d.first_message, d.messages, d.kept) for d in response.decisions] == [
        (0, 1, False),
        (1, 2, False),
        (3, 1, False),
        (4, 1, True),
    ]
    assert response.before.upper_bound - response.after.upper_bound == sum(
        d.tokens for d in response.decisions if not d.kept
    )
    assert response.policy == pb.FIT_POLICY_WINDOW
    assert response.after.calibration_version == "uncalibrated"


async def test_a_question_alone_over_the_budget_is_refused(fitter, registry):
    before = registry.get_sample_value("omnisphere_context_fits_total", {"outcome": "too_long"}) or 0
    with pytest.raises(ContextTooLong) as refused:
        await fitter.fit(ask(conversation(user("word" + " word" * 499)), 300, reserved=50))
    assert refused.value.metadata == {"tokens": "557", "window": "300", "model": "gpt-5"}
    assert registry.get_sample_value("omnisphere_context_fits_total", {"outcome": "too_long"}) == before + 1


async def test_tools_count_against_the_budget(fitter):
    asked = conversation(user("one"), assistant("two"), user("three"))
    assert len((await fitter.fit(ask(asked, 20))).messages) == 3
    tools = conversation(*asked.messages, tools=1)
    assert len((await fitter.fit(ask(tools, 36))).messages) == 1


async def test_a_long_conversation_is_counted_off_the_loop(fitter, registry):
    def counted():
        return registry.get_sample_value("omnisphere_context_counting_seconds_count", {"place": "executor"}) or 0

    before = counted()
    await fitter.fit(ask(conversation(user("word " * 5_000)), 100_000))
    assert counted() == before + 1


@pytest.mark.parametrize(
    ("window", "reserved", "most", "expected"),
    [
        (128_000, 0, None, 4_096),
        (8_000, 0, None, 2_000),
        (128_000, 0, 1_000, 1_000),
        (128_000, 0, 1_000_000, 32_000),
        (8_000, 7_000, 1_000, 7_000),
        (3, 0, None, 0),
    ],
)
def test_what_is_kept_free_for_the_answer(window, reserved, most, expected):
    request = pb.FitRequest(window_tokens=window, reserved_output_tokens=reserved)
    if most is not None:
        request.conversation.sampling.max_output_tokens = most
    assert reserved_tokens(request) == expected
