"""Refuses requests that can never succeed, and names the field."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2 as chat
from omnisphere.context.v1 import context_service_pb2 as pb
from services.chassis.errors import InvalidRequest

_MOST_MESSAGES = 10_000
_MOST_TOOLS = 1_024
# As many as OpenAI takes in one request of vectors.
_MOST_ROWS, _MOST_TOKENS = 2_048, 300_000
_CONVERSATION_ID_BYTES = 128
_MOST_ITEMS = 256
_TEXT_BYTES = 64 * 1024
_MOST_TAGS = 16
_TAG_BYTES = 64
_MOST_RECALLED = 100
_MOST_IDS = 256
_WIRE_FORMAT_BYTES = 64
_LONGEST_TTL_SECONDS = 315_576_000_000


def check_count(request: pb.CountTokensRequest) -> None:
    """Raises InvalidRequest."""
    _check_conversation(request.conversation)
    _check_model(request.model)
    _check_wire_format(request.wire_format)


def check_decode(request: pb.DecodeTokensRequest) -> None:
    """Raises InvalidRequest."""
    if not 1 <= len(request.rows) <= _MOST_ROWS:
        raise InvalidRequest(field="rows", problem=f"is not 1 to {_MOST_ROWS:,}")
    if sum(len(row.tokens) for row in request.rows) > _MOST_TOKENS:
        raise InvalidRequest(field="rows", problem=f"has more than {_MOST_TOKENS:,} tokens")
    for at, row in enumerate(request.rows):
        if not row.tokens:
            raise InvalidRequest(field=f"rows[{at}].tokens", problem="is empty")


def check_fit(request: pb.FitRequest) -> None:
    """Raises InvalidRequest."""
    _check_conversation(request.conversation)
    _check_model(request.model)
    _check_wire_format(request.wire_format)
    sampling = request.conversation.sampling
    if sampling.HasField("max_output_tokens") and sampling.max_output_tokens < 1:
        raise InvalidRequest(field="conversation.sampling.max_output_tokens", problem="must be above 0")
    if request.window_tokens <= 0:
        raise InvalidRequest(field="window_tokens", problem="must be above 0")
    if request.reserved_output_tokens < 0:
        raise InvalidRequest(field="reserved_output_tokens", problem="must not be below 0")
    if request.reserved_output_tokens >= request.window_tokens:
        raise InvalidRequest(field="reserved_output_tokens", problem="leaves no room in the window")
    _check_conversation_id(request.conversation_id)
    if request.policy not in pb.FitPolicy.values():
        raise InvalidRequest(field="policy", problem="is not known")


def check_remember(request: pb.RememberRequest) -> None:
    """Raises InvalidRequest."""
    _check_conversation_id(request.conversation_id)
    if not 1 <= len(request.items) <= _MOST_ITEMS:
        raise InvalidRequest(field="items", problem=f"is not 1 to {_MOST_ITEMS}")
    for index, item in enumerate(request.items):
        if not item.text.strip():
            raise InvalidRequest(field=f"items[{index}].text", problem="is empty")
        if len(item.text.encode()) > _TEXT_BYTES:
            raise InvalidRequest(field=f"items[{index}].text", problem=f"is longer than {_TEXT_BYTES} bytes")
        if len(item.tags) > _MOST_TAGS or any(not 1 <= len(tag.encode()) <= _TAG_BYTES for tag in item.tags):
            raise InvalidRequest(field=f"items[{index}].tags", problem="is not at most 16 tags of 1 to 64 bytes")
    if request.HasField("ttl") and not 0 < request.ttl.seconds + request.ttl.nanos / 1e9 <= _LONGEST_TTL_SECONDS:
        raise InvalidRequest(field="ttl", problem="is not above 0, or longer than 10,000 years")


def check_recall(request: pb.RecallRequest) -> None:
    """Raises InvalidRequest."""
    _check_conversation_id(request.conversation_id)
    if not request.query.strip():
        raise InvalidRequest(field="query", problem="is empty")
    if len(request.query.encode()) > _TEXT_BYTES:
        raise InvalidRequest(field="query", problem=f"is longer than {_TEXT_BYTES} bytes")
    if not 0 <= request.limit <= _MOST_RECALLED:
        raise InvalidRequest(field="limit", problem=f"is not 1 to {_MOST_RECALLED}")


def check_forget(request: pb.ForgetRequest) -> None:
    """Raises InvalidRequest."""
    _check_conversation_id(request.conversation_id)
    if not (request.conversation_id or request.ids or request.tag):
        raise InvalidRequest(field="ids", problem="one of conversation_id, ids and tag must be set")
    if len(request.ids) > _MOST_IDS:
        raise InvalidRequest(field="ids", problem=f"has more than {_MOST_IDS}")


def check_expand(request: pb.ExpandRequest) -> None:
    """Raises InvalidRequest."""
    if not 1 <= len(request.handles) <= _MOST_IDS:
        raise InvalidRequest(field="handles", problem=f"is not 1 to {_MOST_IDS}")


def _check_conversation_id(conversation_id: str) -> None:
    if len(conversation_id.encode()) > _CONVERSATION_ID_BYTES:
        raise InvalidRequest(field="conversation_id", problem=f"is longer than {_CONVERSATION_ID_BYTES} bytes")


def _check_wire_format(wire_format: str) -> None:
    if len(wire_format.encode()) > _WIRE_FORMAT_BYTES:
        raise InvalidRequest(field="wire_format", problem=f"is longer than {_WIRE_FORMAT_BYTES} bytes")


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
