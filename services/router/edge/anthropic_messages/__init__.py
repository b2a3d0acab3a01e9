"""The Messages format: https://docs.anthropic.com/en/api/messages"""

from __future__ import annotations

from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.edge.anthropic_messages import place, read, write
from services.router.edge.anthropic_messages.stream import EventWriter
from services.router.edge.dialect import Reading
from services.router.edge.errors import Problem
from services.router.edge.values import Json


class AnthropicMessages:
    """Adapter of the format; stateless."""

    request_id_header = b"request-id"

    def read(self, document: Json) -> Reading:
        """The request in our contract."""
        return read.request(document)

    def place(self, document: Json, field: str) -> str:
        """Where a field of our contract stands in the caller's document."""
        return place.of(document, field)

    def whole(self, reading: Reading, response: pb.CompleteResponse, request_id: str) -> Json:
        """A message."""
        return write.message(response, request_id, decision=reading.wants_decision)

    def events(self, reading: Reading, request_id: str) -> EventWriter:
        """A writer of message_start to message_stop."""
        return EventWriter(reading, request_id)

    def error(self, problem: Problem) -> Json:
        """{"type": "error", "error": {...}}"""
        return write.error(problem)
