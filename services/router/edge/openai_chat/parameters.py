"""What becomes of each parameter of a chat completion. docs/http.md shows the table; a test keeps the two equal."""

from __future__ import annotations

from services.router.edge.errors import wrong
from services.router.edge.openai import changes_nothing
from services.router.edge.values import Json

# Read by read.py.
READ = frozenset(
    {
        *("model", "messages", "tools", "tool_choice", "parallel_tool_calls", "response_format", "stream"),
        *("stream_options", "temperature", "top_p", "seed", "stop", "max_tokens", "max_completion_tokens"),
        *("reasoning_effort", "frequency_penalty", "presence_penalty", "verbosity", "omnisphere"),
    }
)
# They change nothing about the answer, so leaving them out does no harm.
IGNORED = frozenset(
    {
        *("user", "metadata", "store", "service_tier", "safety_identifier"),
        *("prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "prediction"),
    }
)
# What is refused, unless it asks for what happens anyway.
REFUSED: dict[str, tuple[object, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "audio": (),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "web_search_options": (),
    "moderation": (),
}


def check(document: Json) -> None:
    """Raise Refused for the first parameter that is not read, and that may not be left out either."""
    for name, value in document.items():
        if name in READ or name in IGNORED or value is None:
            continue
        if name not in REFUSED:
            raise wrong(name[:64], "is not a known parameter", "unknown_parameter")
        if not changes_nothing(value, REFUSED[name]):
            raise wrong(name, "is not supported", "unsupported_parameter")
