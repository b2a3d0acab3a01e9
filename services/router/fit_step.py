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
from services.router.plan import Candidate, Facts, Plan, input_bound
from services.router.record import Record
from services.router.window_choice import Cut, with_window

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
        response = await self._asked(candidate, conversation, record)
        if response is None:
            return conversation
        record.fitted(response)
        if len(response.messages) == len(conversation.messages) and not response.blocks:
            return conversation
        fitted = chat_pb2.Conversation()
        fitted.CopyFrom(conversation)
        del fitted.messages[:]
        fitted.messages.extend(response.messages)
        return fitted

    async def with_window(self, plan: Plan, facts: Facts, conversation: chat_pb2.Conversation, record: Record) -> Plan:
        """The plan, a model with a larger window in front where that is cheaper than cutting, or the only way."""
        if not plan.candidates or _fits(plan.candidates[0], conversation):
            return plan
        try:
            response = await self._asked(plan.candidates[0], conversation, record)
        except ContextTooLong:
            return with_window(plan, None, facts.output_tokens)
        if response is None:
            return plan
        cut = Cut(response.before.estimate, response.after.estimate, response.warm_tokens, response.warm_tokens_uncut)
        return with_window(plan, cut, facts.output_tokens)

    async def _asked(
        self, candidate: Candidate, conversation: chat_pb2.Conversation, record: Record
    ) -> context_pb.FitResponse | None:
        """What the context service says for this model, asked once per request; None: no need, or no answer."""
        if candidate.model.id in record.fits:
            return record.fits[candidate.model.id]
        window = candidate.model.window_tokens
        if _fits(candidate, conversation) and not record.conversation_id:
            return None
        if not self._guard.allows(self._clock.monotonic()):
            record.degraded(chat_pb2.Degradation.KIND_CONTEXT_UNAVAILABLE, "context")
            return None
        request = context_pb.FitRequest(
            conversation=conversation,
            model=candidate.model.id,
            window_tokens=window,
            reserved_output_tokens=_reserved(candidate, conversation),
            conversation_id=record.conversation_id,
            wire_format=_wire_format(candidate),
        )
        with record.step("fit"):
            try:
                with self._guard.watching(self._clock):
                    response = await self._peer.fit(request, self._timeout)
            except (ContextTooLong, InvalidRequest):
                raise
            except ServiceError:
                record.degraded(chat_pb2.Degradation.KIND_CONTEXT_UNAVAILABLE, "context")
                return None
        record.fits[candidate.model.id] = response
        return response

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


def _fits(candidate: Candidate, conversation: chat_pb2.Conversation) -> bool:
    """Whether it fits whatever its tokens are."""
    return input_bound(conversation) + _reserved(candidate, conversation) <= candidate.model.window_tokens


def _wire_format(candidate: Candidate) -> str:
    """What is spoken at all of the model's endpoints; "" where they differ."""
    formats = {endpoint.wire_format for endpoint in candidate.model.endpoints}
    return formats.pop() if len(formats) == 1 else ""


def _question(ask: Ask) -> chat_pb2.Message:
    for message in reversed(ask.conversation.messages):
        if message.role == chat_pb2.ROLE_USER:
            return message
    return chat_pb2.Message()


def _text_of(message: chat_pb2.Message) -> str:
    return "\n".join(part.text for part in message.parts if part.text)
