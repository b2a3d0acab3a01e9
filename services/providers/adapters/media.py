"""Pictures and files as text."""

from __future__ import annotations

import base64

from omnisphere.chat.v1 import chat_pb2


def base64_text(data: bytes) -> str:
    """Standard base64."""
    return base64.b64encode(data).decode("ascii")


def data_url(source: chat_pb2.Image | chat_pb2.Document) -> str:
    """The bytes as a data: URL."""
    return f"data:{source.media_type};base64,{base64_text(source.data)}"


def url(source: chat_pb2.Image | chat_pb2.Document) -> str:
    """Where a provider finds it: its address, or its bytes as a data: URL."""
    return source.remote_uri or data_url(source)
