"""Tools through the mesh: calls come back whole, results go out in order, streams carry fragments."""

from __future__ import annotations

import json

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.collect import Collector
from tests.mesh.harness import Mesh, asking

WEATHER = chat_pb2.Tool(
    name="weather",
    description="The weather in a city.",
    parameters_json='{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}',
)
REQUIRED = chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_REQUIRED)


def _with_tool(text: str) -> chat_pb2.Conversation:
    conversation = asking(text)
    conversation.tools.append(WEATHER)
    conversation.tool_choice.CopyFrom(REQUIRED)
    return conversation


async def test_a_tool_call_and_its_result_make_a_round_trip(mesh: Mesh) -> None:
    conversation = _with_tool("Which umbrella for Oslo?")
    response = await mesh.call(mesh.router.Complete, pb.CompleteRequest(conversation=conversation))
    assert response.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS
    (call,) = [part.tool_call for part in response.message.parts]
    assert call.name == "weather"
    assert json.loads(call.arguments_json) == {"city": "simulated"}
    conversation.messages.append(response.message)
    result = chat_pb2.ToolResult(tool_call_id=call.id, name=call.name, parts=[chat_pb2.Part(text="rain")])
    conversation.messages.add(role=chat_pb2.ROLE_TOOL, parts=[chat_pb2.Part(tool_result=result)])
    answer = await mesh.call(mesh.router.Complete, pb.CompleteRequest(conversation=conversation))
    assert answer.finish_reason == chat_pb2.FINISH_REASON_STOP
    sent = (await mesh.last_upstream())["body"]["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "tool"]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"] == call.id
    assert sent[2]["content"] == "rain"


async def test_a_streamed_tool_call_is_the_unary_one_in_fragments(mesh: Mesh) -> None:
    options = pb.RequestOptions(cache=cache_pb.CacheControl(no_cache=True, no_store=True))
    conversation = _with_tool("Which umbrella for Bergen?")
    events, error = await mesh.stream(pb.StreamCompleteRequest(conversation=conversation, options=options))
    assert error is None
    collector = Collector()
    for event in events:
        if event.HasField("delta"):
            collector.apply(event.delta)
    unary = await mesh.call(mesh.router.Complete, pb.CompleteRequest(conversation=conversation, options=options))
    assert collector.message() == unary.message
    assert events[-1].end.finish_reason == chat_pb2.FINISH_REASON_TOOL_CALLS


async def test_requests_with_tools_are_cached_exactly_and_say_why_not_more(mesh: Mesh) -> None:
    conversation = _with_tool("Which umbrella for Tromso?")
    response = await mesh.call(mesh.router.Complete, pb.CompleteRequest(conversation=conversation))
    assert response.decision.cache.reason == cache_pb.CACHE_REASON_TOOLS


async def test_what_the_wire_format_cannot_carry_is_said_in_the_reply(mesh: Mesh) -> None:
    conversation = asking("And now?", "An earlier answer.", "What is in the file?")
    signature = chat_pb2.Signature(value="opaque", origin_model="claude-opus-5-5")
    thought = chat_pb2.Part(reasoning=chat_pb2.Reasoning(text="hm"), signature=signature)
    conversation.messages[1].parts.insert(0, thought)
    request = pb.CompleteRequest(conversation=conversation, model="gpt-5-mini")
    response = await mesh.call(mesh.router.Complete, request)
    lost = {(degradation.kind, degradation.subject) for degradation in response.decision.degradations}
    assert lost == {
        (chat_pb2.Degradation.KIND_SIGNATURE_DROPPED, "conversation.messages[1].parts[0].signature"),
        (chat_pb2.Degradation.KIND_FEATURE_DROPPED, "conversation.messages[1].parts[0].reasoning"),
    }


async def test_a_model_that_lacks_a_capability_is_dropped_with_the_reason(mesh: Mesh) -> None:
    conversation = asking("What is in this picture, simply?")
    image = chat_pb2.Image(remote_uri="https://example.com/cat.png")
    conversation.messages[0].parts.append(chat_pb2.Part(image=image))
    response = await mesh.call(mesh.router.Complete, pb.CompleteRequest(conversation=conversation))
    dropped = {candidate.model: candidate.dropped for candidate in response.decision.candidates}
    assert dropped["deepseek-v3.2"] == 3  # DROPPED_CAPABILITY
    assert response.decision.model != "deepseek-v3.2"
    kinds = [degradation.kind for degradation in response.decision.degradations]
    assert chat_pb2.Degradation.KIND_MODEL_SUBSTITUTED in kinds
    sent = (await mesh.last_upstream())["body"]["messages"][-1]["content"]
    assert "https://example.com/cat.png" in json.dumps(sent[1])
