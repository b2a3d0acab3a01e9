"""Fit keeps its promises for any conversation: the invariants, and the named rules of its journey."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from bench.invariants.checks import broken
from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from services.chassis.errors import ContextTooLong
from services.context.fit import reserved_tokens
from services.context.memo import Memo
from services.context.tokens import TokenCounter
from services.context.units import split
from tests.unit.context.conversations import assistant, calls, conversation, conversations, nonsense, results, user

MODELS = st.sampled_from(["gpt-5", "gpt-4", "claude-sonnet-4-5", "deepseek-chat", "gemini-2.5-pro", "sim-small"])
INSTRUCTIONS = (chat.ROLE_SYSTEM, chat.ROLE_DEVELOPER)
many = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


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


@many
@given(asked=conversations(), model=MODELS, share=st.floats(0.2, 1.1))
async def test_invariants_hold_for_conversations(fitter, counter, asked, model, share):
    request = requests(asked, model, share, counter)
    response = await fitted(fitter, request)
    if response is None:
        event("too long")
        return
    event("block" if response.blocks else "cut" if len(response.messages) < len(asked.messages) else "whole")
    assert broken(request, response, None) == []
    check_figures(request, response, counter)
    again = await fitter.fit(with_messages(request, response.messages))
    assert list(again.messages) == list(response.messages)


@many
@given(asked=nonsense(), model=MODELS, share=st.floats(0.2, 1.1))
async def test_promises_hold_for_nonsense(fitter, counter, asked, model, share):
    request = requests(asked, model, share, counter)
    response = await fitted(fitter, request)
    if response is not None:
        assert response.messages
        # What no provider accepts has no tools to keep together and no good opening, and its orphans go.
        assert not set(broken(request, response, None)) - {"tools", "roles", "question"}
        check_figures(request, response, counter)


def check_figures(request, response, counter):
    """The figures are those of the output, and the decisions say what stands in it."""
    asked = request.conversation.messages
    afresh = TokenCounter(counter._encodings, Memo(1)).count(
        with_messages(request, response.messages).conversation, request.model
    )
    assert afresh.total().upper_bound == response.after.upper_bound <= response_budget(request)
    assert afresh.total().estimate == response.after.estimate <= response.after.upper_bound
    blocks = {block.message for block in response.blocks}
    own = [message for place, message in enumerate(response.messages) if place not in blocks]
    whole = [d for d in response.decisions if d.kept and d.reason != pb.UnitDecision.REASON_RETRIEVED]
    assert [asked[d.first_message + n] for d in whole for n in range(d.messages)] == own
    assert [(d.first_message, d.messages) for d in response.decisions] == [(u.first, u.length) for u in split(asked)]
    assert all(d.kept == (d.reason != pb.UnitDecision.REASON_NO_ROOM) for d in response.decisions)
    fetched = [d for d in response.decisions if d.reason == pb.UnitDecision.REASON_RETRIEVED]
    assert [d.first_message + n for d in fetched for n in range(d.messages)] == [
        source for block in response.blocks for source in block.source_messages
    ]
    assert 0 <= response.warm_tokens <= response.after.estimate
    assert 0 <= response.warm_tokens_uncut <= response.before.estimate
    if response.before.upper_bound <= response.budget_tokens:
        assert response.before == response.after


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
    assert response.policy == pb.FIT_POLICY_RETRIEVE
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
    assert len((await fitter.fit(ask(tools, 140))).messages) == 1


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
