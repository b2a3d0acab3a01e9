"""The seam of a wire format: reading its requests, writing its answers, streams and errors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import orjson
from google.protobuf import json_format

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.edge.errors import Problem, wrong
from services.router.edge.values import Json, flag, table

POLICY = "policy:"


@dataclass(slots=True)
class Reading:
    """A request that was read. `include_usage` and `wants_decision` say what the answer carries beside itself, `echo`
    what it repeats of the request, in the caller's words.
    """

    request: pb.CompleteRequest
    stream: bool
    include_usage: bool = False
    wants_decision: bool = False
    echo: Json = field(default_factory=dict)


class Events(Protocol):
    """The events of one streamed answer, as bytes for the wire. Each method is called in this order."""

    def opening(self, model: str, *, from_cache: bool) -> bytes:
        """Before the first delta; `model` is the concrete id of the one that answers, or did so for the cache."""
        ...

    def delta(self, parts: Iterable[chat_pb2.PartDelta]) -> bytes:
        """More of the answer; may be empty."""
        ...

    def ending(self, end: pb.End) -> bytes:
        """The answer is complete."""
        ...

    def failure(self, problem: Problem) -> bytes:
        """Instead of `ending`: the answer broke off, and every client must notice."""
        ...


class Dialect(Protocol):
    """A wire format; stateless. `read` raises Refused with the caller's own words for the place."""

    request_id_header: bytes

    def read(self, document: Json) -> Reading:
        """The request in our contract."""
        ...

    def place(self, document: Json, field: str) -> str:
        """Where a field of our contract stands in the caller's document."""
        ...

    def whole(self, reading: Reading, response: pb.CompleteResponse, request_id: str) -> Json:
        """The answer as the body of a reply."""
        ...

    def events(self, reading: Reading, request_id: str) -> Events:
        """A writer for one streamed answer."""
        ...

    def error(self, problem: Problem) -> Json:
        """The failure as the body of a reply."""
        ...


def name_model(request: pb.CompleteRequest, value: object) -> None:
    """An alias, a concrete id, `auto` or nothing; or a policy as `policy:NAME`."""
    if value is None:
        return
    if not isinstance(value, str):
        raise wrong("model", "is not a string", "invalid_type")
    if value.startswith(POLICY):
        request.options.policy = value.removeprefix(POLICY)
    else:
        request.model = value


def wants_decision(value: object) -> bool:
    """What the field `omnisphere` of a body asks for: {"decision": true}."""
    if value is None:
        return False
    options = table(value, "omnisphere")
    for name in options:
        if name != "decision":
            raise wrong(f"omnisphere.{name[:64]}", "is not a known parameter", "unknown_parameter")
    return flag(options.get("decision"), "omnisphere.decision")


def decision_json(decision: decision_pb2.Decision) -> orjson.Fragment:
    """The Decision as JSON, with the names of the contract."""
    text = json_format.MessageToJson(decision, preserving_proto_field_name=True, indent=None)
    return orjson.Fragment(text.encode())
