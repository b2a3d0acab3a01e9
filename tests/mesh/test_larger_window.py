"""A conversation too long for the planned model: a larger window is asked first where cheaper, or the only way."""

from __future__ import annotations

from pathlib import Path

import pytest

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from tests.mesh.harness import asking, in_one_process

SMALL, LARGE = "sim-tiny-8k", "qwen3-8b"
ROUTES = f"""
[policy.thrifty]
strategy = "rule"
reference_model = "{LARGE}"
default_task = "chat"
[policy.thrifty.tasks]
chat = {{ primary = "{SMALL}", fallback = "{LARGE}" }}
"""


@pytest.mark.parametrize(
    ("conversation", "reason"),
    [
        (
            asking(*(f"Turn {n}: " + "the river runs past the old mill. " * 20 for n in range(75))),
            "whole for 0 nanousd",
        ),
        (asking("word " * 12_000), "nothing fits the planned one"),
    ],
    ids=["cheaper", "the_only_way"],
)
async def test_a_long_conversation_goes_to_a_larger_window(
    state: Path, conversation: chat_pb2.Conversation, reason: str
) -> None:
    (state / "routes.toml").write_text(ROUTES)
    async with in_one_process(state, OMNISPHERE_ROUTER_ROUTES=str(state / "routes.toml")) as mesh:
        request = pb.CompleteRequest(conversation=conversation, options=pb.RequestOptions(policy="thrifty"))
        decision = (await mesh.call(mesh.router.Complete, request)).decision
        assert decision.model == LARGE
        assert reason in decision.candidates[0].reason
        assert [attempt.model for attempt in decision.attempts] == [LARGE]
        assert decision.fallbacks == 0
        sent = (await mesh.last_upstream())["body"]["messages"]
        assert len(sent) == len(conversation.messages)
        dropped = [each.dropped for each in decision.candidates if each.model == SMALL]
        only_way = reason.startswith("nothing")
        kind = decision_pb2.Candidate
        assert dropped == [kind.DROPPED_WINDOW if only_way else kind.DROPPED_UNSPECIFIED]
        short = pb.CompleteRequest(conversation=asking("A short one"), options=pb.RequestOptions(policy="thrifty"))
        assert (await mesh.call(mesh.router.Complete, short)).decision.model == SMALL
