"""What becomes of each parameter of a Responses request. docs/http.md shows the table; a test keeps the two equal."""

from __future__ import annotations

from services.router.edge.errors import wrong
from services.router.edge.openai import changes_nothing
from services.router.edge.values import Json

# Read by read.py.
READ = frozenset(
    {
        *("model", "input", "instructions", "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning"),
        *("temperature", "top_p", "max_output_tokens", "stream", "stream_options", "include", "metadata", "truncation"),
        *("user", "safety_identifier", "prompt_cache_key", "omnisphere"),
    }
)
# They change nothing about the answer, so leaving them out does no harm. `max_tool_calls` counts calls of hosted tools,
# of which there are none.
IGNORED = frozenset({"store", "service_tier", "max_tool_calls", "prompt_cache_options", "prompt_cache_retention"})
_NOTHING_STORED = "nothing is stored here; send the whole conversation as input"
# name -> (the values that ask for what happens anyway, what to do instead of any other).
REFUSED: dict[str, tuple[tuple[object, ...], str]] = {
    "background": ((False,), "an answer comes with its own request; leave it out, and stream where it may take long"),
    "background_options": ((), "an answer comes with its own request"),
    "previous_response_id": ((), _NOTHING_STORED),
    "conversation": ((), _NOTHING_STORED),
    "prompt": ((), "no prompts are stored here; send instructions and input"),
    "context_management": (([],), "send what the model is to see"),
    "top_logprobs": ((0,), "no model's log probabilities are passed on"),
    "moderation": ((), "nothing is moderated here"),
    "image": ((), "pictures go to the model as they are"),
    "access_programs": ((), "there are none here"),
}


def check(document: Json) -> None:
    """Raise Refused for the first parameter that is not read, and that may not be left out either."""
    for name, value in document.items():
        if name in READ or name in IGNORED or value is None:
            continue
        if name not in REFUSED:
            raise wrong(name[:64], "is not a known parameter", "unknown_parameter")
        harmless, instead = REFUSED[name]
        if not changes_nothing(value, harmless):
            raise wrong(name, f"is not supported: {instead}", "unsupported_parameter")
