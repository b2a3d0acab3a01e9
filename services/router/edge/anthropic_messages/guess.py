"""How many tokens a request will probably take, for `message_start`, before anybody has counted them.

Some libraries read the input's tokens there and nowhere else; `message_delta` has those that were counted.
"""

from __future__ import annotations

from collections.abc import Iterable

from omnisphere.chat.v1 import chat_pb2

_BYTES_PER_TOKEN = 4
# What a message has around its text in our contract.
_FRAMING_BYTES = 8
# A picture of usual size: https://platform.claude.com/docs/en/build-with-claude/vision. So counts a file, whose pages
# nobody has read here.
_TOKENS_PER_BLOB = 1_500


def input_tokens(conversation: chat_pb2.Conversation) -> int:
    """By the bytes of what was written; pictures and files a lump each."""
    size = conversation.ByteSize() - _FRAMING_BYTES * len(conversation.messages)
    blobs = 0
    for message in conversation.messages:
        for length in _blobs(message.parts):
            blobs, size = blobs + 1, size - length
    return -(-max(size, 0) // _BYTES_PER_TOKEN) + blobs * _TOKENS_PER_BLOB


def _blobs(parts: Iterable[chat_pb2.Part]) -> Iterable[int]:
    """The length of each picture and file."""
    for part in parts:
        match part.WhichOneof("content"):
            case "image":
                yield len(part.image.data)
            case "document" if not part.document.media_type.startswith("text/"):
                yield len(part.document.data)
            case "tool_result":
                yield from _blobs(part.tool_result.parts)
