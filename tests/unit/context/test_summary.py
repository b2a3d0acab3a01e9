"""Summaries form a tree that only grows at its end, stand for what they cover alone, and are made once."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from omnisphere.model.v1 import model_pb2
from omnisphere.providers.v1 import attempt_pb2
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb
from services.chassis import call_context
from services.chassis.errors import PeerUnavailable
from services.chassis.identity import Caller
from services.chassis.logs import Log
from services.context.peers import ProvidersPeer
from services.context.server import assemble
from services.context.settings import load
from services.context.summarise import pieces_of
from services.context.summary import FAN_IN, LEAF_BYTES, children, cover, tree
from services.embedding.hashing import HashingEmbedder
from tests.unit.context.conversations import assistant, conversation, system, user

SIZES = st.lists(st.integers(0, 2 * LEAF_BYTES), max_size=60)


def ends(count):
    return [bytes([n % 256]) * 8 + bytes([n // 256]) for n in range(count)]


@given(sizes=SIZES, more=SIZES)
def test_nodes_stay_as_the_conversation_grows(sizes, more):
    before, after = tree(sizes, ends(len(sizes))), tree(sizes + more, ends(len(sizes + more)))
    assert all(node in after[level] for level, nodes in enumerate(before) for node in nodes)


@given(sizes=SIZES, end=st.integers(0, 60))
def test_a_cover_has_no_gap_no_overlap_and_nothing_beyond(sizes, end):
    levels = tree(sizes, ends(len(sizes)))
    nodes = cover(levels, end)
    assert [node.first for node in nodes] == [0, *(node.end for node in nodes)][: len(nodes)]
    assert all(node.end <= end for node in nodes)
    covered = nodes[-1].end if nodes else 0
    assert not [leaf for leaf in levels[0] if covered <= leaf.first and leaf.end <= end]
    assert len([node for node in nodes if node.level == 0]) <= 2 * FAN_IN


@given(sizes=SIZES)
def test_what_a_model_is_asked_to_sum_up_is_bounded(sizes):
    levels = tree(sizes, ends(len(sizes)))
    for node in levels[0]:
        assert node.end == node.first + 1 or sum(sizes[node.first : node.end]) <= LEAF_BYTES
    for level in levels[1:]:
        assert all(len(children(node, levels)) == FAN_IN for node in level)


def test_a_long_message_is_cut_into_pieces():
    pieces = pieces_of("\u4f60\u597d" * 4_000)
    assert [len(piece.encode()) <= LEAF_BYTES for piece in pieces] == [True] * 4
    assert pieces_of("short") == ["short"]


class Summariser(ProvidersPeer):
    """Sums up by the first words; fails while it is told to."""

    def __init__(self):
        self.asked: list[providers_pb.Generation] = []
        self.seen: list[call_context.CallContext] = []
        self.failing = False

    async def list_models(self, request, timeout):
        response = providers_pb.ListModelsResponse()
        for name, price, endpoints in (("dear", "9", 1), ("cheap", "0.1", 1), ("nowhere", "0", 0)):
            model = response.models.add(id=name, endpoints=[model_pb2.Endpoint(name="e")] * endpoints)
            model.prices.input_usd_per_mtok = model.prices.output_usd_per_mtok = price
        return response

    async def generate(self, request, timeout):
        if self.failing:
            raise PeerUnavailable(peer="providers")
        self.asked.append(request.generation)
        self.seen.append(call_context.current())
        text = request.generation.conversation.messages[1].parts[0].text
        message = chat.Message(role=chat.ROLE_ASSISTANT, parts=[chat.Part(text=f"In short: {text[:40]}")])
        return providers_pb.GenerateResponse(message=message)


@pytest.fixture
async def summing(tmp_path):
    """(objects of a service whose default is to sum up, the model it asks)"""
    settings = load({"OMNISPHERE_STATE": str(tmp_path), "OMNISPHERE_CONTEXT_POLICY": "summarise"})
    from prometheus_client import CollectorRegistry

    made = assemble(settings, Log("context", stream=io.StringIO()), CollectorRegistry(), HashingEmbedder)
    summariser = Summariser()
    made.summaries.start(summariser)
    yield made, summariser
    await made.close()


def long_talk(turns):
    said = [m for n in range(turns) for m in (user(f"Plan {n}: " + "we sail on. " * 40), assistant(f"Noted {n}."))]
    return pb.FitRequest(
        conversation=conversation(system("Be kind."), *said, user("And now?")),
        model="gpt-5",
        window_tokens=4_000,
        reserved_output_tokens=500,
    )


async def fitted(made, request, tenant="red"):
    with call_context.entered(call_context.CallContext(Caller(tenant), "req-7", "0" * 32)):
        response = await made.fitter.fit(request)
    await made.summaries.settled()
    return response


async def test_what_was_cut_is_summed_up_behind_the_answer(summing):
    made, summariser = summing
    request = long_talk(120)
    first = await fitted(made, request)
    assert [said.kind for said in first.degradations] == [chat.Degradation.KIND_SUMMARY_PENDING]
    assert not first.blocks
    second = await fitted(made, request)
    assert not second.degradations
    (block,) = second.blocks
    assert (block.message, block.kind) == (1, pb.Block.KIND_SUMMARY)
    assert second.messages[1].parts[0].text.startswith("<summary_of_earlier_turns>\n\nIn short: ")
    assert second.messages[2] == first.messages[1]
    assert second.after.upper_bound <= second.budget_tokens
    summed_up = [d for d in second.decisions if d.reason == pb.UnitDecision.REASON_SUMMARISED]
    assert [d.first_message for d in summed_up] == [place for place in block.source_messages if place]
    assert all(not d.kept and d.handle for d in summed_up)
    for asked, seen in zip(summariser.asked, summariser.seen, strict=True):
        assert (asked.purpose, asked.request_id, asked.model) == (attempt_pb2.PURPOSE_SUMMARY, "req-7", "cheap")
        assert seen.caller.tenant == "red"
        assert len(asked.conversation.messages[1].parts[0].text.encode()) <= LEAF_BYTES
    assert any("In short" in asked.conversation.messages[1].parts[0].text for asked in summariser.asked)


async def test_a_longer_conversation_asks_for_what_is_new_alone(summing):
    made, summariser = summing
    await fitted(made, long_talk(80))
    before = len(summariser.asked)
    await fitted(made, long_talk(84))
    assert 0 <= len(summariser.asked) - before <= 3
    await fitted(made, long_talk(84), tenant="blue")
    assert len(summariser.asked) >= 2 * before


async def test_without_a_summariser_the_window_is_valid_and_says_so(summing):
    made, summariser = summing
    summariser.failing = True
    for _ in range(2):
        response = await fitted(made, long_talk(120))
        assert [said.kind for said in response.degradations] == [chat.Degradation.KIND_SUMMARY_PENDING]
        assert response.messages[0].role == chat.ROLE_SYSTEM
        assert response.messages[1].role == chat.ROLE_USER
    summariser.failing = False
    await fitted(made, long_talk(120))
    assert (await fitted(made, long_talk(120))).blocks
