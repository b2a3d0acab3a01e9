"""The Chat Completions format: https://platform.openai.com/docs/api-reference/chat"""

from __future__ import annotations

from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.edge.dialect import Reading
from services.router.edge.errors import Problem
from services.router.edge.openai_chat import place, read, write
from services.router.edge.openai_chat.stream import ChunkWriter
from services.router.edge.values import Json


class OpenAIChat:
    """Adapter of the format; stateless."""

    request_id_header = b"x-request-id"

    def read(self, document: Json) -> Reading:
        """The request in our contract."""
        return read.request(document)

    def place(self, document: Json, field: str) -> str:
        """Where a field of our contract stands in the caller's document."""
        return place.of(document, field)

    def whole(self, reading: Reading, response: pb.CompleteResponse, request_id: str) -> Json:
        """A chat.completion."""
        return write.completion(response, request_id, decision=reading.wants_decision)

    def events(self, reading: Reading, request_id: str) -> ChunkWriter:
        """A writer of chat.completion.chunk."""
        return ChunkWriter(reading, request_id)

    def error(self, problem: Problem) -> Json:
        """{"error": {...}}"""
        return write.error(problem)
