"""An answer: its text and tool calls, what it took and cost, and the decision behind it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, TypeAlias

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb

FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter", "error", "other"]

_FINISHED: dict[int, FinishReason] = {
    chat_pb2.FINISH_REASON_STOP: "stop",
    chat_pb2.FINISH_REASON_LENGTH: "length",
    chat_pb2.FINISH_REASON_TOOL_CALLS: "tool_calls",
    chat_pb2.FINISH_REASON_CONTENT_FILTER: "content_filter",
    chat_pb2.FINISH_REASON_ERROR: "error",
}
_NANO = Decimal(1_000_000_000)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the model asks for; answer it with tool_result(call, ...)."""

    id: str
    name: str
    arguments_json: str  # as the model wrote it
    arguments_invalid: bool = False  # True: it is no JSON object

    def arguments(self) -> dict[str, object]:
        """The arguments, parsed. Raises ValueError where the model wrote no JSON object."""
        if self.arguments_invalid:
            raise ValueError(f"the arguments of {self.name} are no JSON object: {self.arguments_json!r}")
        read: dict[str, object] = json.loads(self.arguments_json or "{}")
        return read


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens in disjoint classes."""

    input_uncached_tokens: int
    input_cache_read_tokens: int
    input_cache_write_tokens: int
    output_tokens: int  # without reasoning
    reasoning_tokens: int
    estimated: bool  # True: the provider reported nothing, and the router counted

    @classmethod
    def of(cls, usage: chat_pb2.Usage) -> Usage:
        """From the contract's message."""
        return cls(
            usage.input_uncached_tokens,
            usage.input_cache_read_tokens,
            usage.input_cache_write_tokens,
            usage.output_tokens,
            usage.reasoning_tokens,
            usage.estimated,
        )

    @property
    def input_tokens(self) -> int:
        """All input."""
        return self.input_uncached_tokens + self.input_cache_read_tokens + self.input_cache_write_tokens

    @property
    def total_tokens(self) -> int:
        """All tokens that were billed."""
        return self.input_tokens + self.output_tokens + self.reasoning_tokens


@dataclass(frozen=True, slots=True)
class Cost:
    """What it cost, exactly."""

    nanousd: int  # in 1e-9 USD
    priced: bool  # False: for at least one attempt no price was known. Unpriced is not zero.

    @classmethod
    def of(cls, cost: chat_pb2.Cost) -> Cost:
        """From the contract's message."""
        return cls(cost.nanousd, cost.priced)

    @property
    def usd(self) -> Decimal:
        """In US dollars."""
        return Decimal(self.nanousd) / _NANO

    def __str__(self) -> str:
        return f"${self.usd:f}" if self.priced else "unpriced"


@dataclass(frozen=True, slots=True)
class Completion:
    """A whole answer. `proto` is the contract's message, with everything that has no short name here."""

    proto: pb.CompleteResponse

    @property
    def text(self) -> str:
        """The text of the answer, without reasoning and refusals."""
        return "".join(part.text for part in self.proto.message.parts)

    @property
    def refusal(self) -> str:
        """The model's refusal in its own words; empty: it did not refuse."""
        return "".join(part.refusal for part in self.proto.message.parts)

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The calls that the model asks for, in order."""
        calls = (part.tool_call for part in self.proto.message.parts if part.HasField("tool_call"))
        return [ToolCall(call.id, call.name, call.arguments_json, call.arguments_invalid) for call in calls]

    @property
    def message(self) -> chat_pb2.Message:
        """The answer as a turn: append it to the conversation as it is, signatures included."""
        return self.proto.message

    @property
    def finish_reason(self) -> FinishReason:
        """Why the answer ended. "length" and "content_filter": it is cut."""
        return _FINISHED.get(self.proto.finish_reason, "other")

    @property
    def usage(self) -> Usage:
        """The tokens of the whole request, all attempts together."""
        return Usage.of(self.proto.usage)

    @property
    def cost(self) -> Cost:
        """The cost of the whole request, all attempts together."""
        return Cost.of(self.proto.cost)

    @property
    def decision(self) -> decision_pb2.Decision:
        """What was decided, and why."""
        return self.proto.decision

    @property
    def model(self) -> str:
        """The concrete id of the model whose answer this is."""
        return self.proto.decision.model

    @property
    def request_id(self) -> str:
        """The id of the request in all books."""
        return self.proto.decision.request_id

    def json(self) -> object:
        """The text, parsed as JSON. Raises ValueError where it is none."""
        return json.loads(self.text)
