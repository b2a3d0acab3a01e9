"""What an attempt used and cost: exact, rounded half-even to nano-dollars once per attempt."""

from __future__ import annotations

from datetime import datetime

from omnisphere.chat.v1 import chat_pb2
from services.providers.prices import Price

_MOST_GUESSED_BYTES = 1024 * 1024


def cost(usage: chat_pb2.Usage, price: Price | None, at: datetime) -> chat_pb2.Cost:
    """The cost of one attempt. Without a price it is unpriced, which is not zero; without tokens it is zero."""
    nanousd = price.nanousd(usage, at) if price is not None else None
    if price is None or nanousd is None:
        return chat_pb2.Cost(nanousd=0, priced=not any_tokens(usage))
    return chat_pb2.Cost(nanousd=nanousd, priced=price.known or not any_tokens(usage))


def any_tokens(usage: chat_pb2.Usage) -> bool:
    """Whether anything was used."""
    return bool(
        usage.input_uncached_tokens
        or usage.output_tokens
        or usage.input_cache_read_tokens
        or usage.input_cache_write_tokens
        or usage.reasoning_tokens
    )


def tokens_guessed(conversation: chat_pb2.Conversation) -> int:
    """About how many tokens a request will take from a limit per minute. A picture has fewer than its bytes say."""
    return min(conversation.ByteSize(), _MOST_GUESSED_BYTES) // 4 + conversation.sampling.max_output_tokens


def estimated(input_bytes: int, output_bytes: int, so_far: chat_pb2.Usage | None = None) -> chat_pb2.Usage:
    """Our count where the provider reported none: four bytes per token, never less than one where there is any.

    Of `so_far`, which it reported in the middle, the input stands and the output is the least there was.
    """
    usage = chat_pb2.Usage(estimated=True)
    if so_far is None:
        usage.input_uncached_tokens = -(-input_bytes // 4)
    else:
        usage.input_uncached_tokens = so_far.input_uncached_tokens
        usage.input_cache_read_tokens = so_far.input_cache_read_tokens
        usage.input_cache_write_tokens = so_far.input_cache_write_tokens
        usage.reasoning_tokens = so_far.reasoning_tokens
        usage.output_tokens = so_far.output_tokens
    usage.output_tokens = max(usage.output_tokens, -(-output_bytes // 4) - usage.reasoning_tokens)
    return usage
