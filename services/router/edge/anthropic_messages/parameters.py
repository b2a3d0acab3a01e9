"""What becomes of each parameter of a Messages request. docs/http.md shows the table; a test keeps the two equal."""

from __future__ import annotations

from services.router.edge.errors import wrong
from services.router.edge.values import Json, array, table

# Read by read.py.
READ = frozenset(
    {
        *("model", "messages", "system", "tools", "tool_choice", "max_tokens", "stop_sequences", "stream"),
        *("temperature", "top_p", "thinking", "output_config", "output_format", "omnisphere"),
    }
)
# They change nothing about the answer, so leaving them out does no harm.
IGNORED = frozenset(
    {
        *("metadata", "service_tier", "inference_geo", "cache_control", "user_profile_id", "workspace_id"),
        *("diagnostics", "speed"),
    }
)
REFUSED = frozenset(
    {
        *("top_k", "container", "mcp_servers", "thread", "compaction"),
        *("fallbacks", "fallback_credit_token", "billing_policy"),
    }
)
# Edits of `context_management` that only take from what the model reads. What does not fit is cut here anyway.
_CLEARS = ("clear_thinking_", "clear_tool_uses_")
# A client that meets this goes on without a thread, and sends the whole conversation.
_NO_THREADS = {"error_code": "thread_unsupported_request", "unsupported": ["thread"]}


def check(document: Json) -> None:
    """Raise Refused for the first parameter that is not read, and that may not be left out either."""
    for name, value in document.items():
        if name in READ or name in IGNORED or value is None:
            continue
        if name == "context_management":
            _check_edits(value)
        elif name in REFUSED:
            details = _NO_THREADS if name == "thread" else None
            raise wrong(name, "is not supported", "unsupported_parameter", details)
        else:
            raise wrong(name[:64], "is not a known parameter", "unknown_parameter")


def _check_edits(value: object) -> None:
    path = "context_management.edits"
    for at, edit in enumerate(array(table(value, "context_management").get("edits") or [], path)):
        kind = table(edit, f"{path}[{at}]").get("type")
        if not (isinstance(kind, str) and kind.startswith(_CLEARS)):
            raise wrong(f"{path}[{at}].type", "is not supported", "unsupported_parameter")
