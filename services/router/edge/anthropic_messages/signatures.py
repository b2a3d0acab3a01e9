"""Proofs of thoughts in a format that has no field for the model that made them: the model's id goes in front.

A value without one comes from elsewhere; it is taken to be of the model that is asked.
"""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2

# In no base64, and in no id of a model.
_MARK = "#"


def written(signature: chat_pb2.Signature) -> str:
    """The value for the wire."""
    return f"{signature.origin_model}{_MARK}{signature.value}" if signature.origin_model else signature.value


def read(value: str, asked: str) -> chat_pb2.Signature:
    """The value from the wire."""
    model, mark, rest = value.partition(_MARK)
    return (
        chat_pb2.Signature(value=rest, origin_model=model)
        if mark
        else chat_pb2.Signature(value=value, origin_model=asked)
    )
