"""Is a request one that can be answered? Raises InvalidRequest that names the field and what is wrong with it."""

from __future__ import annotations

import math

import numpy as np
from google.protobuf.duration_pb2 import Duration

from omnisphere.cache.v1 import cache_service_pb2 as pb
from omnisphere.chat.v1 import chat_pb2
from services.chassis.errors import InvalidRequest
from services.embedding.embedder import Vector

_MOST_TAGS = 16
_MOST_TAG_BYTES = 64
_MOST_NANOS = 999_999_999
_MOST_TEXTS = 256
# What 32-bit sums and 16-bit storage may cost.
_LENGTH_TOLERANCE = 0.01
# Field 1 of Vector, packed: its number and its wire type.
_VALUES_TAG = bytes([pb.Vector.VALUES_FIELD_NUMBER << 3 | 2])


def check_look_up(request: pb.LookUpRequest) -> None:
    """LookUp: a query or a known entry in its place, and a control that makes sense."""
    if not request.known_entry_id:
        _check_query(request)
    elif request.HasField("query"):
        raise InvalidRequest(field="known_entry_id", problem="goes in the place of query")
    if request.HasField("control"):
        _check_control(request.control)


def check_store(request: pb.StoreRequest) -> None:
    """Store: as LookUp, and a reply with all that the contract requires.

    A reply without a message, or with an empty one, is well formed: it is incomplete, and the answer says so.
    """
    _check_query(request)
    if request.HasField("control"):
        _check_control(request.control)
    if not request.HasField("reply"):
        raise InvalidRequest(field="reply", problem="is missing")
    reply = request.reply
    if reply.HasField("message") and reply.message.role != chat_pb2.ROLE_ASSISTANT:
        raise InvalidRequest(field="reply.message.role", problem="is not ASSISTANT")
    if not reply.model:
        raise InvalidRequest(field="reply.model", problem="is empty")
    if not reply.HasField("usage"):
        raise InvalidRequest(field="reply.usage", problem="is missing")
    if not reply.HasField("cost"):
        raise InvalidRequest(field="reply.cost", problem="is missing")


def check_invalidate(request: pb.InvalidateRequest) -> None:
    """Invalidate: at least one field that selects; a new epoch means everything, and goes alone."""
    narrow = request.entry_id or request.tag or request.model or request.scope_of_entry_id
    if not (narrow or request.all or request.new_epoch):
        problem = "one of entry_id, tag, model, scope_of_entry_id, new_epoch and all must be set"
        raise InvalidRequest(field="all", problem=problem)
    if request.new_epoch and narrow:
        raise InvalidRequest(field="new_epoch", problem="goes alone: it means everything")


def check_report(request: pb.ReportHitRequest) -> None:
    """ReportHit: which entry, for which query, with which verdict."""
    _check_query(request)
    if not request.entry_id:
        raise InvalidRequest(field="entry_id", problem="is empty")
    if request.verdict not in pb.ReportHitRequest.Verdict.values() or not request.verdict:
        raise InvalidRequest(field="verdict", problem="is not RIGHT, WRONG or UNKNOWN")
    if not 0 <= request.check_probability <= 1:
        raise InvalidRequest(field="check_probability", problem="is not between 0 and 1")


def check_texts(request: pb.EmbedTextsRequest) -> None:
    """EmbedTexts: 1 to 256 texts."""
    if not 1 <= len(request.texts) <= _MOST_TEXTS:
        raise InvalidRequest(field="texts", problem=f"has {len(request.texts)} values; 1 to {_MOST_TEXTS} are taken")


def vector_of(given: pb.Vector, *, dimension: int, model_hash: str) -> Vector:
    """A vector that was computed elsewhere, of unit length to the last bit."""
    if given.model_hash != model_hash:
        raise InvalidRequest(field="embedding.model_hash", problem="is not that of the model that is used here")
    vector = np.array(given.values, np.float32)
    if len(vector) != dimension:
        raise InvalidRequest(field="embedding.values", problem=f"has {len(vector)} values, not {dimension}")
    length = math.sqrt(float(vector @ vector))
    if not abs(length - 1) <= _LENGTH_TOLERANCE:  # written so that NaN fails
        raise InvalidRequest(field="embedding.values", problem="is not of unit length")
    unit: Vector = vector / np.float32(length)
    return unit


def written(vector: Vector, model_hash: str) -> pb.Vector:
    """The vector as it travels. Its numbers are handed over as bytes: one by one they take as long as a search."""
    data = np.ascontiguousarray(vector, "<f4").tobytes()
    made = pb.Vector.FromString(_VALUES_TAG + _varint(len(data)) + data)
    made.model_hash = model_hash
    return made


def _varint(number: int) -> bytes:
    """As protobuf writes lengths: seven bits a byte, the lowest first."""
    pieces = bytearray()
    while number > 0x7F:
        pieces.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*pieces, number])


def _check_query(request: pb.LookUpRequest | pb.StoreRequest | pb.ReportHitRequest) -> None:
    if not request.HasField("query"):
        raise InvalidRequest(field="query", problem="is missing")
    if not request.query.HasField("conversation"):
        raise InvalidRequest(field="query.conversation", problem="is missing")
    if not request.query.conversation.messages:
        raise InvalidRequest(field="query.conversation.messages", problem="is empty")


def _check_control(control: pb.CacheControl) -> None:
    if control.HasField("max_age"):
        _check_duration(control.max_age, "control.max_age")
    if control.HasField("ttl"):
        _check_duration(control.ttl, "control.ttl")
    if len(control.tags) > _MOST_TAGS:
        raise InvalidRequest(field="control.tags", problem=f"has more than {_MOST_TAGS} values")
    for number, tag in enumerate(control.tags):
        if not tag:
            raise InvalidRequest(field=f"control.tags[{number}]", problem="is empty")
        if len(tag.encode()) > _MOST_TAG_BYTES:
            raise InvalidRequest(field=f"control.tags[{number}]", problem=f"is longer than {_MOST_TAG_BYTES} bytes")


def _check_duration(duration: Duration, name: str) -> None:
    if duration.seconds < 0 or duration.nanos < 0:
        raise InvalidRequest(field=name, problem="is negative")
    if duration.nanos > _MOST_NANOS:
        raise InvalidRequest(field=name, problem="has 1e9 nanos or more")
