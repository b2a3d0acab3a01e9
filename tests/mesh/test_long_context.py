"""A conversation longer than the model's window: cut by the context service, on its way to the model."""

from __future__ import annotations

import pytest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.context.v1 import context_service_pb2 as context_pb
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import ContextTooLong
from tests.mesh.harness import Mesh, asking

SMALL = "sim-tiny-8k"


async def test_a_long_conversation_is_cut_to_the_window_of_the_model(mesh: Mesh) -> None:
    turns = [f"Turn {n}: " + "the river runs past the old mill. " * 20 for n in range(101)]
    conversation = asking(*turns)
    conversation.messages.insert(0, chat_pb2.Message(role=chat_pb2.ROLE_SYSTEM, parts=[chat_pb2.Part(text="Be kind.")]))
    response = await mesh.call(mesh.router.Complete, pb.CompleteRequest(conversation=conversation, model=SMALL))
    context = response.decision.context
    assert context.policy == context_pb.FIT_POLICY_RETRIEVE
    assert context.tokens_before > 8_192
    assert context.tokens_after <= 8_192
    assert context.messages_dropped > 50
    assert "fit" in [step.step for step in response.decision.steps]
    sent = (await mesh.last_upstream())["body"]["messages"]
    assert sent[0] == {"role": "system", "content": "Be kind."}
    assert sent[-1]["content"] == turns[-1]
    assert len(sent) == len(conversation.messages) - context.messages_dropped


async def test_a_short_conversation_never_visits_the_context_service(mesh: Mesh) -> None:
    response = await mesh.complete("A short one, to a small window", model=SMALL)
    assert not response.decision.HasField("context")
    assert "fit" not in [step.step for step in response.decision.steps]


async def test_one_message_larger_than_the_window_is_a_typed_error(mesh: Mesh) -> None:
    before = await mesh.upstream_requests()
    with pytest.raises(ContextTooLong) as caught:
        await mesh.complete("word " * 20_000, model=SMALL)
    assert caught.value.metadata["window"] == "8192"
    assert int(caught.value.metadata["tokens"]) > 8_192
    assert await mesh.upstream_requests() == before
