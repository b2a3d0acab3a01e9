"""What becomes of each parameter of a Messages request. docs/http.md shows the table; a test keeps the two equal."""

from __future__ import annotations

from services.router.edge.errors import wrong
from services.router.edge.values import Json

# Read by read.py.
READ = frozenset(
    {
        *("model", "messages", "system", "tools", "tool_choice", "max_tokens", "stop_sequences", "stream"),
        *("temperature", "top_p", "thinking", "output_config", "output_format", "omnisphere"),
    }
)
# They change nothing about the answer, so leaving them out does no harm.
IGNORED = frozenset({"metadata", "service_tier", "inference_geo", "cache_control", "user_profile_id", "workspace_id"})
REFUSED = frozenset({"top_k", "container", "mcp_servers", "context_management", "diagnostics", "speed"})


def check(document: Json) -> None:
    """Raise Refused for the first parameter that is not read, and that may not be left out either."""
    for name, value in document.items():
        if name in READ or name in IGNORED or value is None:
            continue
        if name in REFUSED:
            raise wrong(name, "is not supported", "unsupported_parameter")
        raise wrong(name[:64], "is not a known parameter", "unknown_parameter")
