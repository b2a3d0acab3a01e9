"""Answers read as the service reads them, for tests of any wire format."""

from __future__ import annotations

from collections.abc import Iterable

from omnisphere.chat.v1 import chat_pb2
from services.providers.adapters import Ending, Reading, WireFormat
from services.providers.adapters.formats import CHAT
from services.providers.ndjson import LineStream
from services.providers.sse import EventStream
from services.router.collect import Collector


def begun(name: WireFormat) -> Reading:
    return CHAT[name].reading(model="m")


def read_whole(name: WireFormat, body: bytes) -> tuple[chat_pb2.Message, Ending]:
    reading = begun(name)
    reading.whole(body)
    _, ending = reading.finish()
    return reading.message(), ending


def read_stream(name: WireFormat, chunks: Iterable[bytes]) -> tuple[chat_pb2.Message, Ending, chat_pb2.Message]:
    """The answer, how it ended, and the answer as the reader of its deltas has it."""
    reading, collector = begun(name), Collector()
    documents = EventStream() if CHAT[name].framing == "sse" else LineStream()
    deltas: list[chat_pb2.PartDelta] = []
    for chunk in chunks:
        for document in documents.feed(chunk):
            deltas += reading.event(document)
    for document in documents.end():
        deltas += reading.event(document)
    last, ending = reading.finish()
    collector.apply(chat_pb2.Delta(parts=[*deltas, *last]))
    return reading.message(), ending, collector.message()
