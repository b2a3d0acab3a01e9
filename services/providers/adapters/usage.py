"""Token counts of a provider, who counts totals and parts of them, in the disjoint classes of the contract."""

from __future__ import annotations

from omnisphere.chat.v1 import chat_pb2


def disjoint(*, prompt: int, completion: int, cached: int = 0, written: int = 0, reasoning: int = 0) -> chat_pb2.Usage:
    """`prompt` has the cached and the written tokens in it, `completion` the reasoning.

    Some vendors report parts that are larger than their total; the total is what they bill, so it bounds the parts, and
    what they claim beyond it is kept apart.
    """
    excess = max(0, cached - prompt)
    cached -= excess
    written = min(written, prompt - cached)
    reasoning = min(reasoning, completion)
    return chat_pb2.Usage(
        input_uncached_tokens=prompt - cached - written,
        input_cache_read_tokens=cached,
        input_cache_write_tokens=written,
        output_tokens=completion - reasoning,
        reasoning_tokens=reasoning,
        excess_cache_read_tokens=excess,
    )
