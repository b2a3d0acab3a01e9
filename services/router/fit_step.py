"""Fit before a model is asked; report and remember after: the router's side of the context service.

Its failures degrade an answer, and never fail it; only what fits no window, and what is no request, is an error.
"""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2
from omnisphere.context.v1 import context_service_pb2 as context_pb
from services.chassis.clock import Clock
from services.chassis.errors import ContextTooLong, InvalidRequest, ServiceError
from services.router.admit import Ask
from services.router.guard import Guard
from services.router.peers import ContextPeer
from services.router.plan import Candidate, input_bound
from services.router.record import Record

# Kept free for an answer whose length nobody limited.
_RESERVED_OUTPUT_TOKENS = 4_096
_AFTER_TIMEOUT = 5.0
# What one remembered item may hold.
_MOST_REMEMBERED_CHARACTERS = 16_000


class FitStep:
    """Asks the context service, unless it rests after failures."""

    def __init__(self, peer: ContextPeer, guard: Guard, clock: Clock, *, timeout: float) -> None:
        self._peer = peer
        self._guard = guard
        self._clock = clock
        self._timeout = timeout

    async def fit(
        self, candidate: Candidate, conversation: chat_pb2.Conversation, record: Record
    ) -> chat_pb2.Conversation:
        """The conversation as the model's window takes it. A short one without memory never leaves this function."""
        record.decision.ClearField("context")
        record.count_ref = ""
        window = candidate.model.window_tokens
        reserved = _reserved(candidate, conversation)
        if input_bound(conversation) + reserved <= window and not record.conversation_id:
            return conversation
        if not self._guard.allows(self._clock.monotonic()):
            record.degraded(chat_pb2.Degradation.KIND_CONTEXT_UNAVAILABLE, "context")
            return conversation
        request = context_pb.FitRequest(
            conversation=conversation,
            model=candidate.model.id,
            window_tokens=window,
            reserved_output_tokens=reserved,
            conversation_id=record.conversation_id,
        )
        with record.step("fit"):
            try:
                with self._guard.watching(self._clock):
                    response = await self._peer.fit(request, self._timeout)
            except (ContextTooLong, InvalidRequest):
                raise
            except ServiceError:
                record.degraded(chat_pb2.Degradation.KIND_CONTEXT_UNAVAILABLE, "context")
                return conversation
        record.fitted(response)
        if len(response.messages) == len(conversation.messages) and not response.blocks:
            return conversation
        fitted = chat_pb2.Conversation()
        fitted.CopyFrom(conversation)
        del fitted.messages[:]
        fitted.messages.extend(response.messages)
        return fitted

    async def report(self, count_ref: str, usage: chat_pb2.Usage) -> None:
        """What the model counted of a conversation that was fitted. Raises ServiceError."""
        await self._peer.report_usage(context_pb.ReportUsageRequest(count_ref=count_ref, usage=usage), _AFTER_TIMEOUT)

    async def remember(self, ask: Ask, answer: chat_pb2.Message) -> None:
        """Keep the question and its answer for the conversation. Raises ServiceError."""
        said = ((chat_pb2.ROLE_USER, _text_of(_question(ask))), (chat_pb2.ROLE_ASSISTANT, _text_of(answer)))
        request = context_pb.RememberRequest(conversation_id=ask.options.conversation_id)
        for role, text in said:
            if text.strip():
                speaker = "user" if role == chat_pb2.ROLE_USER else "assistant"
                request.items.add(text=f"{speaker}: {text[:_MOST_REMEMBERED_CHARACTERS]}")
        if request.items:
            await self._peer.remember(request, _AFTER_TIMEOUT)


def _reserved(candidate: Candidate, conversation: chat_pb2.Conversation) -> int:
    """Tokens kept free for the answer."""
    sampling = conversation.sampling
    asked = sampling.max_output_tokens if sampling.HasField("max_output_tokens") else _RESERVED_OUTPUT_TOKENS
    return min(asked, candidate.model.max_output_tokens, candidate.model.window_tokens // 4)


def _question(ask: Ask) -> chat_pb2.Message:
    for message in reversed(ask.conversation.messages):
        if message.role == chat_pb2.ROLE_USER:
            return message
    return chat_pb2.Message()


def _text_of(message: chat_pb2.Message) -> str:
    return "\n".join(part.text for part in message.parts if part.text)
