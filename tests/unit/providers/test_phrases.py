"""What the words of providers mean, whatever their numbers, and what they do not mean."""

from __future__ import annotations

import pytest

from services.providers import phrases

TOO_LONG = [
    "context_length_exceeded",
    "This model's maximum context length is 128,000 tokens. However, you requested 130012 tokens",
    "Your input exceeds the context window of this model.",
    "Input tokens exceed the configured limit of 272000 tokens.",
    "prompt is too long: 210000 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 197000 + 8192 > 200000",
    "The input token count (1250074) exceeds the maximum number of tokens allowed (1048576).",
    "The input token count 1250074 exceeds the maximum number of tokens allowed 1048576.",
    "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
    "too many tokens: total number of tokens in the prompt cannot exceed 4081",
    "Please reduce the length of the messages or completion.",
    "This model's maximum prompt length is 131072 but the request contains 150000 tokens.",
    "Invalid request: Your request exceeded model token limit: 8192",
    "prompt too long; exceeded max context length by 1119046 tokens (ref: 1)",
    "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
    "The decoder prompt (length 9000) is longer than the maximum model length of 8192.",
    "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens and 1000",
    "Input is too long for requested model.",
    # Words that no table has.
    "the conversation has 9,000 tokens, which is larger than our context window",
    "The context limit of 100 tokens would be exceeded by your prompt, which is too long",
]
OTHERWISE = [
    "max_tokens is too large: 100000. This model supports at most 16384 completion tokens",
    "Rate limit reached: Limit 30000, Requested 31000 tokens per minute; the request is too large",
    "the image is too large: more than 1568 tokens",
    "thinking.budget_tokens is larger than the prompt allows",
    "The file in the input is too large",
    "messages: text content blocks must be non-empty",
    "Unsupported parameter: 'max_tokens' is not supported with this model.",
    "",
]


@pytest.mark.parametrize("words", TOO_LONG)
def test_a_conversation_that_is_too_long_is_told_by_words(words):
    assert phrases.too_long(words)


@pytest.mark.parametrize("words", OTHERWISE)
def test_other_limits_are_not_taken_for_the_window(words):
    assert not phrases.too_long(words)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (phrases.bad_key, "400 INVALID_ARGUMENT API key not valid. Please pass a valid API key. API_KEY_INVALID"),
        (phrases.bad_key, "Incorrect API key provided: xa***"),
        (phrases.filtered, "The response was filtered due to the prompt: ResponsibleAIPolicyViolation"),
        (phrases.filtered, "invalid_prompt Your prompt was flagged as potentially violating our usage policy"),
        (phrases.unknown_model, "Model Not Exist"),
        (phrases.unknown_model, "The model `gpt-9` does not exist or you do not have access to it."),
        (phrases.rate_limited, "insufficient_quota"),
        (phrases.rate_limited, "RESOURCE_EXHAUSTED"),
    ],
)
def test_keys_filters_models_and_rates_are_told_by_words(told, words):
    assert told(words)
    assert not told("something else went wrong")
