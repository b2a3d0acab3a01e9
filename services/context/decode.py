"""What rows of tokens say: some libraries send tokens to be embedded, and only their vocabulary can read them."""

from __future__ import annotations

from collections.abc import Sequence

from omnisphere.context.v1 import context_service_pb2 as pb
from services.chassis.errors import InvalidRequest
from services.context.ranks import CL100K, Encodings


def texts_of(encodings: Encodings, rows: Sequence[pb.TokenRow]) -> list[str]:
    """One text for each row; a character whose tokens are parted is a replacement mark. Raises InvalidRequest."""
    encoding = encodings.get(CL100K)
    texts = []
    for at, row in enumerate(rows):
        try:
            texts.append(encoding.decode_bytes(list(row.tokens)).decode(errors="replace"))
        except KeyError:
            raise InvalidRequest(field=f"rows[{at}].tokens", problem=f"has a token that is not in {CL100K}") from None
    return texts
