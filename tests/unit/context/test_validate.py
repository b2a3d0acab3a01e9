"""What can never succeed is refused, with the field that is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from services.chassis.errors import InvalidRequest
from services.context.validate import check_count, check_fit
from tests.unit.context.conversations import conversation, user


def fit(**changes):
    fields: dict[str, Any] = {"conversation": conversation(user("hi")), "model": "gpt-5", "window_tokens": 100}
    return pb.FitRequest(**fields | changes)


def with_role(number: Any):
    return conversation(chat.Message(role=number))


def with_output(tokens):
    asked = conversation(user("hi"))
    asked.sampling.max_output_tokens = tokens
    return asked


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"conversation": conversation()}, "conversation.messages"),
        ({"conversation": conversation(*[user("hi")] * 10_001)}, "conversation.messages"),
        ({"conversation": conversation(user("hi"), tools=1_025)}, "conversation.tools"),
        ({"conversation": conversation(user("hi"), chat.Message())}, "conversation.messages[1].role"),
        ({"conversation": with_role(99)}, "conversation.messages[0].role"),
        ({"conversation": with_output(0)}, "conversation.sampling.max_output_tokens"),
        ({"conversation": with_output(-4)}, "conversation.sampling.max_output_tokens"),
        ({"model": ""}, "model"),
        ({"window_tokens": 0}, "window_tokens"),
        ({"window_tokens": -1}, "window_tokens"),
        ({"reserved_output_tokens": -1}, "reserved_output_tokens"),
        ({"reserved_output_tokens": 100}, "reserved_output_tokens"),
        ({"conversation_id": "ü" * 65}, "conversation_id"),
        ({"policy": 99}, "policy"),
    ],
)
def test_fit_refuses(changes, field):
    with pytest.raises(InvalidRequest) as refused:
        check_fit(fit(**changes))
    assert refused.value.metadata["field"] == field
    assert refused.value.metadata["problem"]


@pytest.mark.parametrize("policy", pb.FitPolicy.values())
def test_good_requests_pass(policy):
    check_fit(fit(policy=policy, conversation_id="c" * 128, reserved_output_tokens=99))
    check_count(pb.CountTokensRequest(conversation=conversation(user("")), model="gpt-5"))


@pytest.mark.parametrize(
    ("asked", "model", "field"),
    [(conversation(), "gpt-5", "conversation.messages"), (conversation(user("")), "", "model")],
)
def test_count_refuses(asked, model, field):
    with pytest.raises(InvalidRequest) as refused:
        check_count(pb.CountTokensRequest(conversation=asked, model=model))
    assert refused.value.metadata["field"] == field
