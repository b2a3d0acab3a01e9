"""What the words of providers' errors mean. Few have a code for a conversation that is too long; all have words.

The table is by who says it, from recorded errors and from the vendors' documentation; numbers in between do not matter.
Words that it does not have are judged cautiously: better an honest refusal than a fallback for the wrong reason.
"""

from __future__ import annotations

import re

_NUMBER = r"\(?[\d,._]+\)?"
_TOO_LONG: dict[str, tuple[str, ...]] = {
    "openai, azure, deepseek, openrouter": (
        "context_length_exceeded",
        rf"maximum context length is {_NUMBER} tokens",
        "input exceeds the context window",
        rf"input tokens exceed the configured limit of {_NUMBER}",
    ),
    "anthropic": (
        rf"prompt is too long: {_NUMBER} tokens? > {_NUMBER}",
        "prompt is too long",
        "input length and `?max_tokens`? exceed context limit",
    ),
    "google": (
        rf"input token count {_NUMBER} exceeds the maximum number of tokens",
        "exceeds the maximum number of (?:input )?tokens allowed",
    ),
    "mistral": (rf"too large for model with {_NUMBER} maximum context length", "context_length_error"),
    "cohere": ("too many tokens: ", "size limit exceeded: ", r"total number of tokens .{0,40}exceed"),
    "groq, cerebras, openai": (r"reduce the length of (?:the|your) (?:messages|prompt|input)", "reduce your prompt"),
    "xai": (rf"maximum prompt length is {_NUMBER} but",),
    "moonshot": ("exceeded model token limit", "exceeded the model's context"),
    "zai, alibaba": ("prompt exceeds max length", r"range of input length should be"),
    "ollama": (rf"exceeded max context length by {_NUMBER} tokens", "prompt too long"),
    "llama.cpp, lm studio": (
        "exceed_context_size_error",
        "exceeds? the available context size",
        "greater than the context length",
    ),
    "vllm, tgi, sglang": (
        rf"longer than the maximum model length of {_NUMBER}",
        rf"maximum model length of {_NUMBER}",
        r"`?inputs`? (?:tokens \+ `?max_new_tokens`?|must have less than)",
        "exceeds the model's (?:maximum )?context length",
    ),
    "bedrock": ("input is too long for requested model", "too many input tokens"),
}
_KNOWN = re.compile("|".join(phrase for phrases in _TOO_LONG.values() for phrase in phrases), re.IGNORECASE)
# Unknown words: the input is too large, and it is tokens or the context that it is too large in.
_SUBJECT = r"(?:prompt|input|context|conversation|messages|request)"
_TOO_MUCH = r"(?:too (?:long|large|many)|exceed\w*|longer than|larger than|over the limit|beyond the)"
_LIKELY = re.compile(rf"\b{_SUBJECT}\b.{{0,120}}\b{_TOO_MUCH}|\b{_TOO_MUCH}.{{0,120}}\b{_SUBJECT}\b", re.IGNORECASE)
_MEASURE = re.compile(r"\b(?:tokens?|context (?:window|length|size|limit))\b", re.IGNORECASE)
_OTHER_LIMIT = re.compile(
    r"per (?:minute|hour|day)|\brate\b|quota|max_(?:output_|completion_|new_)?tokens|output tokens|completion tokens"
    r"|image|audio|file|schema|budget",
    re.IGNORECASE,
)
_FILTERED = re.compile(
    r"content[ _]?filter|content_policy_violation|responsibleaipolicyviolation|data_inspection_failed|invalid_prompt"
    r"|violating our usage policy|input was flagged|prohibited_content",
    re.IGNORECASE,
)
_BAD_KEY = re.compile(
    r"api_key_invalid|invalid_api_key|incorrect api key|api key (?:not valid|not found|expired)|invalid x-api-key"
    r"|authentication_error|\bunauthenticated\b|permission_denied",
    re.IGNORECASE,
)
_UNKNOWN_MODEL = re.compile(
    r"model_?not_?found|deploymentnotfound|invalid_model|model not exist"
    r"|\bmodels? .{1,160}?(?:does not exist|not found|is not a valid model)",
    re.IGNORECASE,
)
_RATE = re.compile(r"rate_?limit|insufficient_quota|resource_exhausted|too_many_requests|quota", re.IGNORECASE)


def too_long(words: str) -> bool:
    """Whether the conversation does not fit the model's window."""
    if _KNOWN.search(words):
        return True
    return bool(_LIKELY.search(words) and _MEASURE.search(words) and not _OTHER_LIMIT.search(words))


def filtered(words: str) -> bool:
    """Whether a content filter refused."""
    return bool(_FILTERED.search(words))


def bad_key(words: str) -> bool:
    """Whether the key is at fault."""
    return bool(_BAD_KEY.search(words))


def unknown_model(words: str) -> bool:
    """Whether there is no such model there."""
    return bool(_UNKNOWN_MODEL.search(words))


def rate_limited(words: str) -> bool:
    """Whether our rate or our quota is used up."""
    return bool(_RATE.search(words))
