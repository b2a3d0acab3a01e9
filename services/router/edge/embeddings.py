"""Texts to vectors over HTTP, in OpenAI's format: https://platform.openai.com/docs/api-reference/embeddings"""

from __future__ import annotations

import base64
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import orjson

from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.edge import headers, values
from services.router.edge.errors import wrong
from services.router.edge.exchange import Exchange
from services.router.edge.values import Json, array, integer, text
from services.router.embed import MOST_TEXTS

Embed = Callable[[pb.EmbedRequest], Awaitable[pb.EmbedResponse]]
_KNOWN = frozenset({"input", "model", "encoding_format", "dimensions", "user"})


class Embeddings:
    """The handler of POST /v1/embeddings."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed

    async def answer(self, exchange: Exchange, said: Mapping[str, str], body: bytes) -> None:
        """Answer. Raises ServiceError and Refused."""
        document = values.document(body)
        request, as_base64 = read(document)
        exchange.placed = partial(place, document)
        request.request_id = said.get(headers.REQUEST_ID, "")
        response = await self._embed(request)
        written = write(response, as_base64=as_base64)
        await exchange.reply(200, headers.of_embedding(response), orjson.dumps(written))


def read(document: Json) -> tuple[pb.EmbedRequest, bool]:
    """(the request, whether the vectors are wanted as base64). Raises Refused."""
    for name, value in document.items():
        if name not in _KNOWN and value is not None:
            raise wrong(name[:64], "is not a known parameter", "unknown_parameter")
    form = document.get("encoding_format") or "float"
    if form not in ("float", "base64"):
        raise wrong("encoding_format", "is not float or base64")
    request = pb.EmbedRequest(model=text(document.get("model"), "model"), texts=_texts(document.get("input")))
    if document.get("dimensions") is not None:
        request.dimensions = integer(document["dimensions"], "dimensions", bits=32)
    return request, form == "base64"


def place(document: Json, field: str) -> str:
    """Where a field of our contract stands in the caller's document."""
    if field == "request_id":
        return headers.REQUEST_ID
    at = field.removeprefix("texts")
    return field if at == field else "input" if isinstance(document["input"], str) else f"input{at}"


def write(response: pb.EmbedResponse, *, as_base64: bool) -> Json:
    """The vectors in the order of the texts."""
    prompt = response.usage.input_uncached_tokens + response.usage.input_cache_read_tokens
    return {
        "object": "list",
        "data": [
            {
                "object": "embedding",
                "index": index,
                "embedding": _base64(vector.values) if as_base64 else list(vector.values),
            }
            for index, vector in enumerate(response.embeddings)
        ],
        "model": response.model,
        "usage": {"prompt_tokens": prompt, "total_tokens": prompt},
    }


def _texts(value: object) -> list[str]:
    rows = [value] if isinstance(value, str) else array(value, "input")
    if not 1 <= len(rows) <= MOST_TEXTS:
        raise wrong("input", f"is not 1 to {MOST_TEXTS:,} texts")
    if isinstance(rows[0], list) or type(rows[0]) is int:
        raise wrong("input", "is made of tokens, which mean something to one model only; send text")
    return [text(row, f"input[{at}]") for at, row in enumerate(rows)]


def _base64(vector: Sequence[float]) -> str:
    """32-bit floats, little-endian, as the official clients read them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
