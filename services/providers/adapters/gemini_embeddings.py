"""The wire format of Gemini's embeddings. No I/O.

https://ai.google.dev/api/embeddings#method:-models.batchembedcontents
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from services.providers.adapters import Embedded, Encoded, MalformedAnswer, Target
from services.providers.adapters.headers import google
from services.providers.adapters.json_text import Json, dumped, parsed_object
from services.providers.adapters.reading import refuse
from services.providers.adapters.vectors import same_length, vector


class GeminiEmbeddings:
    """Adapter of the format; stateless. The provider reports no tokens."""

    def headers(self, key: str, quirks: frozenset[str]) -> Mapping[str, str]:
        """The key in Google's header."""
        return google(key, quirks)

    def encode(self, texts: Sequence[str], target: Target, *, dimensions: int | None) -> Encoded:
        """All texts in one request, each with its model and its length."""
        name = f"models/{target.served_name.removeprefix('models/')}"
        length: Json = {} if dimensions is None else {"outputDimensionality": dimensions}
        requests = [{"model": name, "content": {"parts": [{"text": text}]}} | length for text in texts]
        return Encoded(f"/{quote(name, safe='/@')}:batchEmbedContents", dumped({"requests": requests}), ())

    def read(self, body: bytes, *, texts: int, dimensions: int | None) -> Embedded:
        """The vectors, in the order of the texts."""
        document = parsed_object(body)
        refuse(document.get("error"))
        rows = document.get("embeddings") or []
        if not isinstance(rows, list):
            raise MalformedAnswer
        found = [vector(row.get("values") if isinstance(row, dict) else None) for row in rows]
        return Embedded(same_length(found, texts=texts, dimensions=dimensions))
