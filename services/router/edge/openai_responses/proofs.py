"""Proofs of a model as `encrypted_content` of a reasoning item: its model, what it proves, and the value as it came.

A value without these comes from elsewhere; it is taken to be of the model that is asked, and is kept with the item's id
as providers of this format have it.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from omnisphere.chat.v1 import chat_pb2

# Of the thoughts beside it; of thoughts that are withheld; of the call before it, which has no field for one.
THOUGHTS, HIDDEN, CALL = "thoughts", "hidden", "call"
_KINDS = frozenset({THOUGHTS, HIDDEN, CALL})
# In no id of a model.
_MARK = "#"


def written(signature: chat_pb2.Signature, kind: str) -> str:
    """The value for the wire."""
    return _MARK.join((signature.origin_model, kind, signature.value))


def read(value: str, item: Mapping[str, object], asked: str) -> tuple[chat_pb2.Signature, str]:
    """(the proof, its kind) from the wire."""
    pieces = value.split(_MARK, 2)
    if len(pieces) == 3 and pieces[1] in _KINDS:
        return chat_pb2.Signature(value=pieces[2], origin_model=pieces[0]), pieces[1]
    named = item.get("id")
    fields = {"id": named} if isinstance(named, str) and named else {}
    foreign = orjson.dumps(fields | {"encrypted_content": value}).decode()
    return chat_pb2.Signature(value=foreign, origin_model=asked), THOUGHTS
