"""Each of the four services, called directly as its contract says."""

from __future__ import annotations

import asyncio

import pytest

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.context.v1 import context_service_pb2 as context_pb
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb
from services.chassis.errors import InvalidRequest, UnknownModel
from tests.mesh import fields
from tests.mesh.harness import Mesh, asking

pytestmark = pytest.mark.parametrize("shared_mesh", ["four_processes"], indirect=True)


async def test_the_cache_gives_back_what_it_was_given(mesh: Mesh) -> None:
    query = cache_pb.Query(conversation=asking("Directly to the cache"), policy_hash="p", simulated=True)
    reply = cache_pb.CachedReply(
        message=chat_pb2.Message(role=chat_pb2.ROLE_ASSISTANT, parts=[chat_pb2.Part(text="kept")]),
        finish_reason=chat_pb2.FINISH_REASON_STOP,
        model="m",
        usage=chat_pb2.Usage(input_uncached_tokens=3, output_tokens=1),
        cost=chat_pb2.Cost(nanousd=5, priced=True),
    )
    stored = await mesh.call(mesh.cache.Store, cache_pb.StoreRequest(query=query, reply=reply))
    assert stored.stored
    found = await mesh.call(mesh.cache.LookUp, cache_pb.LookUpRequest(query=query))
    assert found.outcome == cache_pb.CACHE_OUTCOME_EXACT_HIT
    assert found.reply == reply
    assert found.entry_id == stored.entry_id
    cut = cache_pb.CachedReply()
    cut.CopyFrom(reply)
    cut.finish_reason = chat_pb2.FINISH_REASON_LENGTH
    refused = await mesh.call(mesh.cache.Store, cache_pb.StoreRequest(query=query, reply=cut))
    assert (refused.stored, refused.reason) == (False, cache_pb.CACHE_REASON_INCOMPLETE)
    forgotten = await mesh.call(mesh.cache.Invalidate, cache_pb.InvalidateRequest(entry_id=stored.entry_id))
    assert forgotten.entries == 1
    stats = await mesh.call(mesh.cache.GetStats, cache_pb.GetStatsRequest())
    assert stats.exact_hits >= 1
    sampled = cache_pb.Query(conversation=asking("Sampled"))
    sampled.conversation.sampling.temperature = 1.5
    looked = await mesh.call(mesh.cache.LookUp, cache_pb.LookUpRequest(query=sampled))
    assert (looked.outcome, looked.reason) == (cache_pb.CACHE_OUTCOME_NOT_ELIGIBLE, cache_pb.CACHE_REASON_SAMPLED)


async def test_the_context_service_keeps_every_kind_of_part_unchanged(mesh: Mesh) -> None:
    conversation = chat_pb2.Conversation()
    question = conversation.messages.add(role=chat_pb2.ROLE_USER, name="Ann", pinned=True)
    question.sent_at.FromSeconds(1_700_000_000)
    image = chat_pb2.Image(data=b"\x89PNG", media_type="image/png", detail="low")
    document = chat_pb2.Document(remote_uri="https://example.com/a.pdf", name="a.pdf")
    question.parts.extend([chat_pb2.Part(text="Look", cache_breakpoint=True), chat_pb2.Part(image=image)])
    question.parts.append(chat_pb2.Part(document=document))
    file = chat_pb2.Document(data=b"%PDF", media_type="application/pdf", name="b.pdf")
    linked = chat_pb2.Image(remote_uri="https://example.com/a.png")
    question.parts.extend([chat_pb2.Part(document=file), chat_pb2.Part(image=linked)])
    answer = conversation.messages.add(role=chat_pb2.ROLE_ASSISTANT)
    signature = chat_pb2.Signature(value="opaque", origin_model="m")
    answer.parts.add(reasoning=chat_pb2.Reasoning(text="hm", redacted=True), signature=signature)
    answer.parts.add(refusal="No.")
    call = chat_pb2.ToolCall(id="c1", name="look", arguments_json="{", arguments_invalid=True)
    answer.parts.add(tool_call=call)
    result = chat_pb2.ToolResult(tool_call_id="c1", name="look", is_error=True, parts=[chat_pb2.Part(text="?")])
    conversation.messages.add(role=chat_pb2.ROLE_TOOL, parts=[chat_pb2.Part(tool_result=result)])
    request = context_pb.FitRequest(conversation=conversation, model="gpt-5", window_tokens=100_000)
    response = await mesh.call(mesh.context.Fit, request)
    assert list(response.messages) == list(conversation.messages)
    assert response.before == response.after
    assert response.after.encoding == "o200k_base"
    assert response.budget_tokens == 100_000 - 4_096
    assert [decision.kept for decision in response.decisions] == [True, True]


async def test_the_context_service_counts(mesh: Mesh) -> None:
    request = context_pb.CountTokensRequest(conversation=asking("How many tokens are these?"), model="gpt-5")
    counted = await mesh.call(mesh.context.CountTokens, request)
    count = counted.count
    assert 6 <= count.estimate <= count.upper_bound
    assert count.calibration_version
    report = context_pb.ReportUsageRequest(count_ref=counted.count_ref)
    report.usage.input_uncached_tokens = count.estimate
    assert (await mesh.call(mesh.context.ReportUsage, report)).calibration_version
    with pytest.raises(InvalidRequest):
        await mesh.call(mesh.context.CountTokens, context_pb.CountTokensRequest(model="gpt-5"))


async def test_the_context_service_reads_tokens(mesh: Mesh) -> None:
    request = context_pb.DecodeTokensRequest(rows=[context_pb.TokenRow(tokens=[83, 1609, 5963])])
    assert (await mesh.call(mesh.context.DecodeTokens, request)).texts == ["tiktoken"]


async def test_the_context_service_fetches_and_recalls(mesh: Mesh) -> None:
    facts = [f"Fact {number}: drawer {number} holds the spare key of house {number}." for number in range(40)]
    remember = context_pb.RememberRequest(
        conversation_id="drawers", items=[context_pb.MemoryItem(text=fact) for fact in facts]
    )
    ids = (await mesh.call(mesh.context.Remember, remember)).ids
    recall = context_pb.RecallRequest(conversation_id="drawers", query="Which drawer holds the key of house 7?")
    found = await mesh.call(mesh.context.Recall, recall)
    assert (found.items[0].id, found.items[0].text) == (ids[7], facts[7])
    assert [said.kind for said in found.degradations] == [chat_pb2.Degradation.KIND_DENSE_PENDING]
    conversation = asking(*(f"Turn {number} is about the colour of lamp {number}." for number in range(200)))
    _ask(conversation, "Which drawer holds the key of house 7, and where was lamp 12?")
    request = context_pb.FitRequest(
        conversation=conversation, model="gpt-5", window_tokens=1_000, conversation_id="drawers"
    )
    response = await mesh.call(mesh.context.Fit, request)
    memory, turns = response.blocks
    assert (memory.kind, turns.kind) == (context_pb.Block.KIND_MEMORY, context_pb.Block.KIND_TURNS)
    assert ids[7] in memory.memory_ids
    assert facts[7] in response.messages[memory.message].parts[0].text
    assert 12 in turns.source_messages
    assert "lamp 12." in response.messages[turns.message].parts[0].text
    assert response.warm_tokens_uncut > response.warm_tokens
    cut = next(decision for decision in response.decisions if decision.handle)
    expanded = await mesh.call(mesh.context.Expand, context_pb.ExpandRequest(handles=[cut.handle]))
    assert list(expanded.messages) == [conversation.messages[cut.first_message]]
    assert chat_pb2.Degradation.KIND_DENSE_PENDING in [said.kind for said in response.degradations]
    forget = context_pb.ForgetRequest(conversation_id="drawers")
    assert (await mesh.call(mesh.context.Forget, forget)).items == len(facts)


async def test_the_context_service_has_what_it_cuts_summed_up(mesh: Mesh) -> None:
    conversation = asking(*(f"Turn {number}: " + "the river runs past the mill. " * 20 for number in range(101)))
    request = context_pb.FitRequest(
        conversation=conversation, model="gpt-5", window_tokens=8_000, policy=context_pb.FIT_POLICY_SUMMARISE
    )
    response = await mesh.call(mesh.context.Fit, request)
    assert chat_pb2.Degradation.KIND_SUMMARY_PENDING in [said.kind for said in response.degradations]
    for _ in range(100):
        if not response.degradations:
            break
        await asyncio.sleep(0.05)
        response = await mesh.call(mesh.context.Fit, request)
    (block,) = response.blocks
    assert block.kind == context_pb.Block.KIND_SUMMARY
    assert list(block.source_messages) == list(range(len(block.source_messages)))
    asked = [row["body"]["messages"][0]["content"] for row in await mesh.upstream_rows() if "messages" in row["body"]]
    assert any(str(text).startswith("Sum up this part of a conversation") for text in asked)


def _ask(conversation: chat_pb2.Conversation, text: str) -> None:
    conversation.messages.add(role=chat_pb2.ROLE_ASSISTANT, parts=[chat_pb2.Part(text="Yes.")])
    conversation.messages.add(role=chat_pb2.ROLE_USER, parts=[chat_pb2.Part(text=text)])


async def test_the_providers_service_answers_whole_and_as_a_stream(mesh: Mesh) -> None:
    generation = providers_pb.Generation(
        model="claude-sonnet",
        conversation=asking("Directly to the providers"),
        request_id="direct-1",
        purpose=attempt_pb2.PURPOSE_JUDGE,
    )
    response = await mesh.call(mesh.providers.Generate, providers_pb.GenerateRequest(generation=generation))
    (attempt,) = response.end.attempts
    assert attempt.purpose == attempt_pb2.PURPOSE_JUDGE
    assert attempt.provider_finish_reason == "end_turn"
    assert attempt.upstream_id
    generation.model = "deepseek-v3"  # its format has no documents
    generation.conversation.messages[0].parts.add(document=chat_pb2.Document(remote_uri="https://example.com/a.pdf"))
    response = await mesh.call(mesh.providers.Generate, providers_pb.GenerateRequest(generation=generation))
    assert [lost.subject for lost in response.end.degradations] == ["conversation.messages[0].parts[1].document"]
    events = []
    async for event in mesh.providers.StreamGenerate(providers_pb.StreamGenerateRequest(generation=generation)):
        fields.note(event)
        events.append(event)
    assert events[-1].HasField("end")
    text = "".join(part.text for event in events for part in event.delta.parts)
    assert text == response.message.parts[0].text
    unknown = providers_pb.Generation(model="nobody", conversation=asking("x"), request_id="direct-2")
    with pytest.raises(UnknownModel):
        await mesh.call(mesh.providers.Generate, providers_pb.GenerateRequest(generation=unknown))


async def test_the_catalogue_is_sent_once_and_then_only_when_it_changed(mesh: Mesh) -> None:
    first = await mesh.call(mesh.providers.ListModels, providers_pb.ListModelsRequest())
    again = providers_pb.ListModelsRequest(known_version=first.version)
    second = await mesh.call(mesh.providers.ListModels, again)
    assert len(first.models) >= 14
    assert len(second.models) == 0
    assert second.version == first.version
