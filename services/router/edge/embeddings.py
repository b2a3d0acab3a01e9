"""Texts to vectors over HTTP, in OpenAI's format: https://platform.openai.com/docs/api-reference/embeddings

Tokens become text first: they mean something to one model only.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import orjson

from omnisphere.context.v1 import context_service_pb2 as context_pb
from omnisphere.router.v1 import router_service_pb2 as pb
from services.router.edge import headers, values
from services.router.edge.errors import wrong
from services.router.edge.exchange import Exchange
from services.router.edge.values import Json, array, integer, text
from services.router.embed import MOST_TEXTS

Embed = Callable[[pb.EmbedRequest], Awaitable[pb.EmbedResponse]]
Decode = Callable[[context_pb.DecodeTokensRequest, float], Awaitable[context_pb.DecodeTokensResponse]]
_DECODE_SECONDS = 5.0
_MOST_TOKEN = 1 << 32
_KNOWN = frozenset({"input", "model", "encoding_format", "dimensions", "user"})


class Embeddings:
    """The handler of POST /v1/embeddings."""

    def __init__(self, embed: Embed, decode: Decode) -> None:
        self._embed = embed
        self._decode = decode

    async def answer(self, exchange: Exchange, said: Mapping[str, str], body: bytes) -> None:
        """Answer. Raises ServiceError and Refused."""
        document = values.document(body)
        request, rows, as_base64 = read(document)
        exchange.placed = partial(place, document)
        if rows:
            asked = context_pb.DecodeTokensRequest(rows=rows)
            request.texts.extend((await self._decode(asked, _DECODE_SECONDS)).texts)
        request.request_id = said.get(headers.REQUEST_ID, "")
        response = await self._embed(request)
        written = write(response, as_base64=as_base64)
        await exchange.reply(200, headers.of_embedding(response), orjson.dumps(written))


def read(document: Json) -> tuple[pb.EmbedRequest, list[context_pb.TokenRow], bool]:
    """(the request, tokens in place of its texts, whether the vectors are wanted as base64). Raises Refused."""
    for name, value in document.items():
        if name not in _KNOWN and value is not None:
            raise wrong(name[:64], "is not a known parameter", "unknown_parameter")
    form = document.get("encoding_format") or "float"
    if form not in ("float", "base64"):
        raise wrong("encoding_format", "is not float or base64")
    rows = _rows(document.get("input"))
    texts = [] if rows else _texts(document.get("input"))
    request = pb.EmbedRequest(model=text(document.get("model"), "model"), texts=texts)
    if document.get("dimensions") is not None:
        request.dimensions = integer(document["dimensions"], "dimensions", bits=32)
    return request, rows, form == "base64"


def place(document: Json, field: str) -> str:
    """Where a field of our contract stands in the caller's document."""
    if field == "request_id":
        return headers.REQUEST_ID
    at = field.removeprefix("texts").removeprefix("rows").removesuffix(".tokens")
    return field if at == field else f"input{at}" if _is_many(document["input"]) else "input"


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


def _is_many(value: object) -> bool:
    """Whether an input is a list of texts or of rows of tokens, not one of them alone."""
    return isinstance(value, list) and not (value and type(value[0]) is int)


def _texts(value: object) -> list[str]:
    texts = [value] if isinstance(value, str) else array(value, "input")
    if not 1 <= len(texts) <= MOST_TEXTS:
        raise wrong("input", f"is not 1 to {MOST_TEXTS:,} texts")
    return [text(one, f"input[{at}]") for at, one in enumerate(texts)]


def _rows(value: object) -> list[context_pb.TokenRow]:
    """The rows of tokens; none: it is not made of tokens."""
    if not isinstance(value, list) or not value or not (type(value[0]) is int or isinstance(value[0], list)):
        return []
    rows = value if _is_many(value) else [value]
    made = []
    for at, row in enumerate(rows):
        tokens = array(row, f"input[{at}]")
        if not all(type(token) is int and 0 <= token < _MOST_TOKEN for token in tokens):
            raise wrong(f"input[{at}]" if _is_many(value) else "input", "is not made of tokens alone")
        made.append(context_pb.TokenRow(tokens=tokens))
    return made


def _base64(vector: Sequence[float]) -> str:
    """32-bit floats, little-endian, as the official clients read them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
