"""What was once asked of real providers, asked again through the contract: the same rules hold, nothing is lost.

The recordings lie beside a checkout and not in it; without them these tests are skipped.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from bench.wire.records import Record, read
from bench.wire.rig import FORMATS
from bench.wire.said import recorded
from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Encoded, Target
from services.providers.adapters.formats import CHAT
from tests.contract.recordings import RECORDINGS
from tests.contract.request_rules import RULES

pytestmark = pytest.mark.skipif(not RECORDINGS.is_dir(), reason="no recordings beside this checkout")
APIS = sorted(api for api in FORMATS if api != "openai.embeddings")
QUIRKS = {"openai.chat": frozenset({"reasoning_details"})}
# So many of them are turns with calls and their results.
WITH_CALLS = {"openai.chat": 100, "openai.responses": 50, "anthropic.messages": 40, "gemini.generate": 100}
_PROOFS = ("thoughtSignature", "thought_signature", "encrypted_content", "signature", "data")
_HOLDERS = {"thinking", "redacted_thinking", "reasoning", "reasoning.text", "reasoning.encrypted"}


@cache
def said(api: str) -> list[tuple[Record, chat_pb2.Conversation]]:
    """The recordings whose request the contract can say."""
    found = ((record, recorded(record)) for record in read(RECORDINGS) if record.api == api and "~" not in record.id)
    return [(record, conversation) for record, conversation in found if conversation is not None]


def encoded(record: Record, conversation: chat_pb2.Conversation, *, model: str = "") -> Encoded:
    quirks = QUIRKS.get(record.api, frozenset())
    target = Target(model or record.id, record.model, 4096, quirks, frozenset({"reasoning"}))
    return CHAT[FORMATS[record.api]].encode(conversation, target, stream=record.stream)


def complete(conversation: chat_pb2.Conversation) -> bool:
    """Whether every call has its result, as the contract wants it. Some recorded conversations stop before."""
    calls = Counter(part.tool_call.id for m in conversation.messages for part in m.parts if part.HasField("tool_call"))
    results = Counter(
        part.tool_result.tool_call_id for m in conversation.messages for part in m.parts if part.HasField("tool_result")
    )
    return calls == results


def proofs(value: Any) -> Iterator[str]:
    """Every opaque value of a body, in order."""
    if isinstance(value, list):
        for each in value:
            yield from proofs(each)
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in _PROOFS and isinstance(inner, str):
                if name.startswith("thought") or value.get("type") in _HOLDERS:
                    yield inner
            else:
                yield from proofs(inner)


@pytest.mark.parametrize("api", APIS)
def test_nearly_every_recorded_request_can_be_said(api: str) -> None:
    known = [record for record in read(RECORDINGS) if record.api == api and record.body and "~" not in record.id]
    assert len(said(api)) >= 0.98 * len(known)


@pytest.mark.parametrize("api", APIS)
def test_what_is_sent_keeps_to_the_rules(api: str) -> None:
    broken, with_calls = {}, 0
    for record, conversation in said(api):
        if complete(conversation):
            with_calls += any(part.HasField("tool_call") for m in conversation.messages for part in m.parts)
            body = json.loads(encoded(record, conversation).body)
            if found := list(RULES[FORMATS[api]](body)):
                broken[record.id] = found
    assert not broken, "\n".join(f"{name}: {found}" for name, found in broken.items())
    assert with_calls >= WITH_CALLS.get(api, 0)


@pytest.mark.parametrize("api", APIS)
def test_proofs_go_back_to_their_model_byte_for_byte_and_to_no_other(api: str) -> None:
    for record, conversation in said(api):
        wanted = list(proofs(record.body))
        assert list(proofs(json.loads(encoded(record, conversation).body))) == wanted, record.id
        elsewhere = encoded(record, conversation, model="another")
        assert not list(proofs(json.loads(elsewhere.body))), record.id
        dropped = [d for d in elsewhere.degradations if d.kind == chat_pb2.Degradation.KIND_SIGNATURE_DROPPED]
        assert len(dropped) >= (1 if wanted else 0), record.id
