"""Sends the workload's steps through a router, and notes what came of each."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import ServiceError, from_rpc_error
from services.cli.workload import Step

if TYPE_CHECKING:  # only the type stubs know this name
    from omnisphere.router.v1.router_service_pb2_grpc import RouterServiceAsyncStub

_MOST_TOOL_ROUNDS = 4
_SECONDS = 60.0


@dataclass(slots=True)
class Outcome:
    """What came of one step; a step with tool calls takes several requests."""

    step: Step
    answer: str = ""
    right: bool = False
    seconds: float = 0.0
    first_token: float = 0.0
    decisions: list[decision_pb2.Decision] = field(default_factory=list)
    refused: ServiceError | None = None


class Sender:
    """Keeps the conversations of the workload, and sends their next turns."""

    def __init__(
        self, stub: RouterServiceAsyncStub, *, model: str = "", policy: str = "", use_cache: bool = True
    ) -> None:
        self._stub = stub
        self._model = model
        self._policy = policy
        self._use_cache = use_cache
        self._conversations: dict[str, chat_pb2.Conversation] = {}

    async def send(self, step: Step) -> Outcome:
        """The outcome of one step. Raises nothing: what the router refuses is part of the outcome."""
        outcome = Outcome(step)
        started = time.monotonic()
        try:
            if step.kind == "bad":
                await self._refused()
            elif step.kind == "stream":
                await self._stream(step, outcome, started)
            else:
                await self._complete(step, outcome)
        except grpc.aio.AioRpcError as failure:
            outcome.refused = from_rpc_error(failure, peer="router")
        outcome.seconds = time.monotonic() - started
        outcome.right = outcome.refused is None and step.is_right(outcome.answer)
        return outcome

    async def rate(self, outcomes: Iterable[Outcome]) -> int:
        """Tell the router which answers were right; how many it was told of."""
        told = 0
        for outcome in outcomes:
            token = outcome.decisions[-1].feedback_token if outcome.decisions else ""
            if token:
                request = pb.RecordFeedbackRequest(feedback_token=token, score=float(outcome.right))
                await self._stub.RecordFeedback(request, timeout=_SECONDS)
                told += 1
        return told

    async def _refused(self) -> None:
        """A request that no provider could take: a message without a role."""
        message = chat_pb2.Message(parts=[chat_pb2.Part(text="Who says this?")])
        request = pb.CompleteRequest(conversation=chat_pb2.Conversation(messages=[message]))
        await self._stub.Complete(request, timeout=_SECONDS)

    async def _complete(self, step: Step, outcome: Outcome) -> None:
        conversation = self._next(step)
        for _ in range(_MOST_TOOL_ROUNDS):
            request = pb.CompleteRequest(conversation=conversation, model=self._model, options=self._options(step))
            response = await self._stub.Complete(request, timeout=_SECONDS)
            outcome.decisions.append(response.decision)
            conversation.messages.append(response.message)
            if response.finish_reason != chat_pb2.FINISH_REASON_TOOL_CALLS:
                outcome.answer = _text(response.message)
                return
            conversation.messages.append(_results(response.message, step, conversation))

    async def _stream(self, step: Step, outcome: Outcome, started: float) -> None:
        request = pb.StreamCompleteRequest(
            conversation=self._next(step), model=self._model, options=self._options(step)
        )
        async for event in self._stub.StreamComplete(request, timeout=_SECONDS):
            if event.HasField("delta"):
                outcome.first_token = outcome.first_token or time.monotonic() - started
                outcome.answer += "".join(part.text for part in event.delta.parts)
            elif event.HasField("end"):
                outcome.decisions.append(event.end.decision)

    def _next(self, step: Step) -> chat_pb2.Conversation:
        """The conversation with the step's question as its last turn."""
        conversation = self._conversations.get(step.conversation)
        if conversation is None:
            conversation = chat_pb2.Conversation(tools=step.tools)
            if step.conversation:
                self._conversations[step.conversation] = conversation
        conversation.messages.add(role=chat_pb2.ROLE_USER, parts=[chat_pb2.Part(text=step.text)])
        return conversation

    def _options(self, step: Step) -> pb.RequestOptions:
        options = pb.RequestOptions(task_hint=step.hint, policy=self._policy)
        if not self._use_cache:
            options.cache.no_cache = options.cache.no_store = True
        return options


def _text(message: chat_pb2.Message) -> str:
    return "".join(part.text for part in message.parts)


def _results(calling: chat_pb2.Message, step: Step, conversation: chat_pb2.Conversation) -> chat_pb2.Message:
    """The scripted results of the calls, in the order in which the step's calls were made so far."""
    calls = [part.tool_call for part in calling.parts if part.HasField("tool_call")]
    answered = 0
    for message in reversed(conversation.messages):
        if message.role == chat_pb2.ROLE_USER:
            break
        answered += sum(part.HasField("tool_result") for part in message.parts)
    results = step.tool_results[answered:] or ("{}",)
    message = chat_pb2.Message(role=chat_pb2.ROLE_TOOL)
    for place, call in enumerate(calls):
        result = chat_pb2.ToolResult(tool_call_id=call.id, name=call.name)
        result.parts.add(text=results[min(place, len(results) - 1)])
        message.parts.add(tool_result=result)
    return message
