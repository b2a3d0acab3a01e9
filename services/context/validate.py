"""Refuses requests that can never succeed, and names the field."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from services.chassis.errors import InvalidRequest, Unimplemented

_MOST_MESSAGES = 10_000
_MOST_TOOLS = 128
_CONVERSATION_ID_BYTES = 128
_UNSERVED = {
    pb.FIT_POLICY_SUMMARISE: "SUMMARISE",
}


def check_count(request: pb.CountTokensRequest) -> None:
    """Raises InvalidRequest."""
    _check_conversation(request.conversation)
    _check_model(request.model)


def check_fit(request: pb.FitRequest) -> None:
    """Raises InvalidRequest, or Unimplemented for a policy that is not served yet."""
    _check_conversation(request.conversation)
    _check_model(request.model)
    sampling = request.conversation.sampling
    if sampling.HasField("max_output_tokens") and sampling.max_output_tokens < 1:
        raise InvalidRequest(field="conversation.sampling.max_output_tokens", problem="must be above 0")
    if request.window_tokens <= 0:
        raise InvalidRequest(field="window_tokens", problem="must be above 0")
    if request.reserved_output_tokens < 0:
        raise InvalidRequest(field="reserved_output_tokens", problem="must not be below 0")
    if request.reserved_output_tokens >= request.window_tokens:
        raise InvalidRequest(field="reserved_output_tokens", problem="leaves no room in the window")
    if len(request.conversation_id.encode()) > _CONVERSATION_ID_BYTES:
        raise InvalidRequest(field="conversation_id", problem=f"is longer than {_CONVERSATION_ID_BYTES} bytes")
    if request.policy in _UNSERVED:
        raise Unimplemented(method=f"Fit policy {_UNSERVED[request.policy]}")
    if request.policy not in pb.FitPolicy.values():
        raise InvalidRequest(field="policy", problem="is not known")


def _check_model(model: str) -> None:
    if not model:
        raise InvalidRequest(field="model", problem="is empty")


def _check_conversation(conversation: chat.Conversation) -> None:
    if not conversation.messages:
        raise InvalidRequest(field="conversation.messages", problem="is empty")
    if len(conversation.messages) > _MOST_MESSAGES:
        raise InvalidRequest(field="conversation.messages", problem=f"has more than {_MOST_MESSAGES}")
    if len(conversation.tools) > _MOST_TOOLS:
        raise InvalidRequest(field="conversation.tools", problem=f"has more than {_MOST_TOOLS}")
    known = set(chat.Role.values()) - {chat.ROLE_UNSPECIFIED}
    for index, message in enumerate(conversation.messages):
        if message.role not in known:
            raise InvalidRequest(field=f"conversation.messages[{index}].role", problem="is not known")
