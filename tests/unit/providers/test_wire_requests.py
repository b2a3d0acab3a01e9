"""Whatever conversation is valid becomes, in every format, a request that keeps to the provider's rules; what is left
out is said, and what is not left out is there."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Target, WireFormat
from services.providers.adapters.formats import CHAT
from tests.contract.request_rules import RULES
from tests.unit.providers.parts import assistant, call, picture, result, signed, thoughts
from tests.unit.providers.samples import message, text, user

FORMATS: list[WireFormat] = sorted(CHAT)
QUIRKS = [
    *("adaptive_thinking", "developer_role", "max_completion_tokens", "no_sampling", "random_seed"),
    *("reasoning_content", "reasoning_details", "system_role_only", "thinking_content", "thinking_level"),
    *("thinking_switch", "thought_signature_required"),
]
WORDS = st.text(min_size=1, max_size=8).filter(str.strip)
PROOFS = st.sampled_from(
    ["c2ln", '{"id":"rs_1","encrypted_content":"Z0FB"}', '{"type":"reasoning.text","signature":"s"}']
)
ARGUMENTS = st.sampled_from(["{}", '{"x": 1.0, "a": "ö"}', "{", "null", ""])


@st.composite
def turns(draw: st.DrawFn) -> list[chat_pb2.Message]:
    """A user's turn, and an assistant's with its thoughts, texts, calls and their results."""
    said = [user(draw(WORDS), *([picture()] if draw(st.booleans()) else []))]
    if draw(st.booleans()):
        role = draw(st.sampled_from([chat_pb2.ROLE_SYSTEM, chat_pb2.ROLE_DEVELOPER]))
        said.insert(0, message(role, text(draw(WORDS))))
    for _ in range(draw(st.integers(0, 2))):
        parts = [thoughts(draw(WORDS))] if draw(st.booleans()) else []
        parts = [signed(part, draw(PROOFS), draw(st.sampled_from(["m", "other"]))) for part in parts]
        parts += [text(words) for words in draw(st.lists(WORDS, max_size=2))]
        calls = draw(st.lists(ARGUMENTS, max_size=3))
        parts += [call("f", arguments, "?") for arguments in calls]
        if not parts:
            continue
        said.append(assistant(*parts))
        said += [message(chat_pb2.ROLE_TOOL, result("?", text(draw(WORDS)))) for _ in calls]
        said.append(user(draw(WORDS)))
    return said


@st.composite
def conversations(draw: st.DrawFn) -> chat_pb2.Conversation:
    """Valid conversations: every call has one result; its id is its own, or comes again in later turns."""
    said = [each for turn in draw(st.lists(turns(), min_size=1, max_size=3)) for each in turn]
    again = draw(st.booleans())
    calls, results = count(), count()
    for each in said:
        if again and each.role == chat_pb2.ROLE_ASSISTANT:
            calls, results = count(), count()
        for part in each.parts:
            if part.HasField("tool_call"):
                part.tool_call.id = f"call_{next(calls)}" if again else f"id:{next(calls)}"
            if part.HasField("tool_result"):
                part.tool_result.tool_call_id = f"call_{next(results)}" if again else f"id:{next(results)}"
    efforts = st.sampled_from(chat_pb2.ReasoningEffort.values())
    sampling = chat_pb2.Sampling(reasoning_effort=draw(efforts))
    if draw(st.booleans()):
        sampling.temperature, sampling.max_output_tokens = draw(st.floats(0, 2)), draw(st.integers(1, 100_000))
    return chat_pb2.Conversation(messages=said, sampling=sampling)


def texts(value: Any) -> str:
    """All texts of a document, one after the other."""
    if isinstance(value, dict):
        return "".join(texts(inner) for inner in value.values())
    if isinstance(value, list):
        return "".join(texts(inner) for inner in value)
    return value if isinstance(value, str) else ""


@given(st.sampled_from(FORMATS), conversations(), st.sets(st.sampled_from(QUIRKS)), st.booleans())
def test_every_valid_conversation_is_a_request_that_keeps_to_the_rules(
    name: WireFormat, said: chat_pb2.Conversation, quirks: set[str], stream: bool
) -> None:
    target = Target("m", "own-name", 4096, frozenset(quirks), frozenset({"reasoning"}))
    before = said.SerializeToString(deterministic=True)
    encoded = CHAT[name].encode(said, target, stream=stream)
    body = json.loads(encoded.body)
    assert list(RULES[name](body)) == []
    assert said.SerializeToString(deterministic=True) == before
    everything = texts(body)
    for each in said.messages:
        for part in each.parts:
            assert part.text.strip() in everything
            assert all(inner.text in everything for inner in part.tool_result.parts)


@given(st.sampled_from(FORMATS), conversations())
def test_a_proof_is_sent_or_its_loss_is_said(name: WireFormat, said: chat_pb2.Conversation) -> None:
    encoded = CHAT[name].encode(said, Target("m", "own-name", 4096), stream=False)
    proofs = [part.signature for each in said.messages for part in each.parts if part.HasField("signature")]
    lost = [d for d in encoded.degradations if d.kind == chat_pb2.Degradation.KIND_SIGNATURE_DROPPED]
    foreign = sum(proof.origin_model != "m" for proof in proofs)
    assert foreign <= len(lost) <= len(proofs)
    assert encoded.body.count(b"Z0FB") <= sum("Z0FB" in proof.value for proof in proofs if proof.origin_model == "m")
