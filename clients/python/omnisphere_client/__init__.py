"""The Python client of omnisphere: ask language models through one router, and see what each answer cost."""

from omnisphere_client.aio import AsyncClient
from omnisphere_client.aio_stream import AsyncStream
from omnisphere_client.client import Client
from omnisphere_client.completion import Completion, Cost, ToolCall, Usage
from omnisphere_client.errors import (
    Cancelled,
    ContentFiltered,
    ContextTooLong,
    DeadlineExceeded,
    InvalidRequest,
    NotFound,
    OmnisphereError,
    RateLimited,
    Refused,
    ServerError,
    StreamInterrupted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
)
from omnisphere_client.events import Event, ReasoningDelta, RefusalDelta, Restart, TextDelta, ToolCallDelta, WholePart
from omnisphere_client.memory import MemoryItem
from omnisphere_client.messages import (
    ChatMessage,
    assistant,
    document,
    image,
    system,
    tool,
    tool_result,
    user,
)
from omnisphere_client.options import AskOptions, CacheOptions
from omnisphere_client.records import Embeddings, UsageRow
from omnisphere_client.stream import Stream
from omnisphere_client.version import __version__

__all__ = [
    "__version__",
    "Client",
    "AsyncClient",
    # What is asked.
    "AskOptions",
    "CacheOptions",
    "ChatMessage",
    "user",
    "system",
    "assistant",
    "image",
    "document",
    "tool",
    "tool_result",
    # What comes back.
    "Completion",
    "ToolCall",
    "Usage",
    "Cost",
    "UsageRow",
    "Embeddings",
    "MemoryItem",
    # Streams.
    "Stream",
    "AsyncStream",
    "Event",
    "TextDelta",
    "ReasoningDelta",
    "RefusalDelta",
    "ToolCallDelta",
    "WholePart",
    "Restart",
    # What goes wrong.
    "OmnisphereError",
    "InvalidRequest",
    "ContextTooLong",
    "NotFound",
    "Refused",
    "ContentFiltered",
    "RateLimited",
    "Unavailable",
    "StreamInterrupted",
    "DeadlineExceeded",
    "Unauthenticated",
    "Unimplemented",
    "ServerError",
    "Cancelled",
]
