"""The Responses format: https://platform.openai.com/docs/api-reference/responses

Nothing is stored: an answer is in the reply to its own request and nowhere else, and a conversation comes whole each
time.
"""

from __future__ import annotations

from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.edge.dialect import Reading
from services.router.edge.errors import Problem
from services.router.edge.openai_chat.write import error
from services.router.edge.openai_responses import place, read, write
from services.router.edge.openai_responses.stream import EventWriter
from services.router.edge.values import Json


class OpenAIResponses:
    """Adapter of the format; stateless."""

    request_id_header = b"x-request-id"

    def read(self, document: Json) -> Reading:
        """The request in our contract."""
        return read.request(document)

    def place(self, document: Json, field: str) -> str:
        """Where a field of our contract stands in the caller's document."""
        return place.of(document, field)

    def whole(self, reading: Reading, response: pb.CompleteResponse, request_id: str) -> Json:
        """A response."""
        return write.response(reading, response, request_id)

    def events(self, reading: Reading, request_id: str) -> EventWriter:
        """A writer of response.created to response.completed."""
        return EventWriter(reading, request_id)

    def error(self, problem: Problem) -> Json:
        """{"error": {...}}, as of chat completions."""
        return error(problem)
