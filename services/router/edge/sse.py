"""Server-sent events: the bytes around a JSON document. https://html.spec.whatwg.org/multipage/server-sent-events.html"""

from __future__ import annotations

import orjson

DONE = b"data: [DONE]\n\n"
HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]


def data(document: object) -> bytes:
    """An event without a name."""
    return b"data: " + orjson.dumps(document) + b"\n\n"


def named(event: bytes, document: object) -> bytes:
    """An event with a name."""
    return b"event: " + event + b"\ndata: " + orjson.dumps(document) + b"\n\n"
