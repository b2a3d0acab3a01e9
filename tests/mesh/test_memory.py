"""Memory over the mesh: what is remembered, recalled and forgotten, what was cut, and an early fact of a long chat."""

from __future__ import annotations

import pytest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.context.v1 import context_service_pb2 as context_pb
from omnisphere.router.v1 import memory_service_pb2 as memory_pb
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import InvalidRequest, NotFound
from tests.mesh.harness import Mesh, text_of

SMALL = "sim-tiny-8k"
FACT = "By the way, my boat is called Albatros and lies in the harbour of Split."


async def test_what_is_remembered_is_recalled_by_its_tenant_alone(mesh: Mesh) -> None:
    remember = memory_pb.RememberRequest(conversation_id="boats")
    remember.items.add(text=FACT, tags=["boat"])
    remember.items.add(text="The mast is twelve metres high.", tags=["boat", "mast"])
    remember.ttl.seconds = 3_600
    kept = await mesh.call(mesh.memory.Remember, remember, tenant="sailor")
    recall = memory_pb.RecallRequest(conversation_id="boats", query="What is the boat called?", limit=1)
    found = await mesh.call(mesh.memory.Recall, recall, tenant="sailor")
    assert [(item.id, item.text, list(item.tags)) for item in found.items] == [(kept.ids[0], FACT, ["boat"])]
    assert found.items[0].score > 0
    assert found.items[0].HasField("remembered_at")
    assert not (await mesh.call(mesh.memory.Recall, recall, tenant="pirate")).items
    forget = memory_pb.ForgetRequest(tag="mast")
    assert (await mesh.call(mesh.memory.Forget, forget, tenant="pirate")).items == 0
    assert (await mesh.call(mesh.memory.Forget, forget, tenant="sailor")).items == 1
    with pytest.raises(InvalidRequest):
        await mesh.call(mesh.memory.Remember, memory_pb.RememberRequest(), tenant="sailor")
    with pytest.raises(NotFound):
        await mesh.call(mesh.memory.Expand, memory_pb.ExpandRequest(handles=["nothing"]), tenant="sailor")


async def test_recall_by_words_alone_says_so(mesh: Mesh) -> None:
    remember = memory_pb.RememberRequest(conversation_id="knots")
    for number in range(40):
        remember.items.add(text=f"Knot {number} is tied {number} times around the bollard of pier {number}.")
    await mesh.call(mesh.memory.Remember, remember, tenant="knots")
    recall = memory_pb.RecallRequest(conversation_id="knots", query="How often is knot 7 tied?", limit=3)
    found = await mesh.call(mesh.memory.Recall, recall, tenant="knots")
    assert "Knot 7 " in found.items[0].text
    assert [said.kind for said in found.degradations] == [chat_pb2.Degradation.KIND_DENSE_PENDING]


@pytest.mark.slow
async def test_an_early_fact_is_there_after_three_hundred_turns(mesh: Mesh) -> None:
    conversation = chat_pb2.Conversation()
    _say(conversation, chat_pb2.ROLE_SYSTEM, "You are a kind listener.")
    for turn in range(300):
        text = (
            FACT if turn == 3 else f"Day {turn}: the wind turned and we sat below deck, reading. " + "So it goes. " * 12
        )
        _say(conversation, chat_pb2.ROLE_USER, text)
        answered = await _answered(mesh, conversation)
        _say(conversation, chat_pb2.ROLE_ASSISTANT, text_of(answered.message))
    before = (await mesh.last_upstream())["body"]["messages"]
    assert FACT not in str(before)
    # Between two cuts the prompt starts as the one before it.
    assert answered.decision.context.tokens_warm > 1_000
    _say(conversation, chat_pb2.ROLE_USER, "What is the name of my boat, and in which harbour does it lie?")
    request = pb.CompleteRequest(conversation=conversation, model=SMALL)
    response = await mesh.call(mesh.router.Complete, request, tenant="sailor")
    sent = (await mesh.last_upstream())["body"]["messages"]
    assert sent[0]["content"] == "You are a kind listener."
    assert sent[-1]["content"] == conversation.messages[-1].parts[0].text
    assert FACT in sent[-2]["content"]
    assert response.decision.context.policy == context_pb.FIT_POLICY_RETRIEVE
    assert response.decision.context.messages_retrieved > 0
    expand = memory_pb.ExpandRequest(handles=response.decision.context.handles)
    expanded = await mesh.call(mesh.memory.Expand, expand, tenant="sailor")
    assert len(expanded.messages) == 64
    assert all(message in list(conversation.messages) for message in expanded.messages)
    with pytest.raises(NotFound):
        await mesh.call(mesh.memory.Expand, expand, tenant="pirate")
    assert response.decision.context.tokens_after <= 8_192 < response.decision.context.tokens_before


async def _answered(mesh: Mesh, conversation: chat_pb2.Conversation) -> pb.CompleteResponse:
    request = pb.CompleteRequest(conversation=conversation, model=SMALL)
    response: pb.CompleteResponse = await mesh.call(mesh.router.Complete, request, tenant="sailor")
    return response


def _say(conversation: chat_pb2.Conversation, role: chat_pb2.Role.ValueType, text: str) -> None:
    conversation.messages.add(role=role, parts=[chat_pb2.Part(text=text)])
