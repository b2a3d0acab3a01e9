"""The request ledger: one row per request, what was decided and what it cost; never what was said."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import decision_pb2
from services.ledger.table import Row, Table

TOKEN_COLUMNS = ("input_uncached", "input_cache_read", "input_cache_write", "output", "reasoning")
REQUESTS = Table(
    name="request",
    schema=1,
    columns=(
        ("at", "integer"),
        ("request_id", "text"),
        ("trace_id", "text"),
        ("tenant", "text"),
        ("prompt_hash", "text"),
        ("strategy", "text"),
        ("policy", "text"),
        ("task", "text"),
        ("model", "text"),
        ("cache", "text"),
        ("finish", "text"),
        ("error", "text"),
        ("attempts", "integer"),
        ("fallbacks", "integer"),
        ("escalations", "integer"),
        *((name, "integer") for name in TOKEN_COLUMNS),
        ("estimated", "integer"),
        ("cost_nanousd", "integer"),
        ("priced", "integer"),
        ("reference_nanousd", "integer"),
        ("cache_savings_nanousd", "integer"),
        ("routing_savings_nanousd", "integer"),
        ("simulated", "integer"),
        ("shared_with", "text"),
        ("replayed", "integer"),
        ("degradations", "integer"),
        ("milliseconds", "real"),
        ("first_token_milliseconds", "real"),
    ),
    indexes=("at", "tenant, at", "request_id"),
)
CACHE_WORDS = {
    value: name.removeprefix("CACHE_OUTCOME_").removeprefix("UNSPECIFIED").lower()
    for name, value in cache_pb.CacheOutcome.items()
}
FINISH_WORDS = {
    value: name.removeprefix("FINISH_REASON_").removeprefix("UNSPECIFIED").lower()
    for name, value in chat_pb2.FinishReason.items()
}

# https://www.rfc-editor.org/rfc/rfc7693: a keyed hash by itself, in one pass.
_MOST_KEY_BYTES = 64


class Asked(Protocol):
    """What a row says of the request itself; the prompt as a hash only."""

    @property
    def tenant(self) -> str:
        """Whose request it is."""

    @property
    def prompt(self) -> str:
        """The text by which requests are told apart."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a request ended. `at` is Unix time of its arrival; all in seconds; `first_token` None: nothing came."""

    at: float
    seconds: float
    finish: chat_pb2.FinishReason.ValueType
    error: str = ""
    first_token: float | None = None


def request_row(decision: decision_pb2.Decision, ended: Ended, ask: Asked, trace_id: str, hash_key: bytes) -> Row:
    """The row of a Decision. Tokens, cost and savings are those that this request took: none where it shares or repeats
    an answer. The first three values and the last two are the only ones that differ where the cache answers it again.
    """
    usage, savings = decision.usage, decision.savings
    mine = not (decision.shared_with_request_id or decision.replayed)
    money = (
        usage.input_uncached_tokens,
        usage.input_cache_read_tokens,
        usage.input_cache_write_tokens,
        usage.output_tokens,
        usage.reasoning_tokens,
        int(usage.estimated),
        decision.cost.nanousd,
        int(decision.cost.priced),
        savings.reference_nanousd,
        savings.cache_nanousd,
        savings.routing_nanousd,
    )
    return (
        int(ended.at * 1000),
        decision.request_id,
        trace_id,
        ask.tenant,
        prompt_hash(ask.prompt, hash_key),
        decision.strategy,
        decision.policy,
        decision.task_type,
        decision.model,
        CACHE_WORDS.get(decision.cache.outcome, ""),
        FINISH_WORDS.get(ended.finish, ""),
        ended.error,
        len(decision.attempts),
        decision.fallbacks,
        decision.escalations,
        *(money if mine else _NO_MONEY),
        int(decision.simulated),
        decision.shared_with_request_id,
        int(decision.replayed),
        len(decision.degradations),
        round(ended.seconds * 1000, 3),
        -1.0 if ended.first_token is None else round(ended.first_token * 1000, 3),
    )


_NO_MONEY = (0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0)


def prompt_hash(prompt: str, key: bytes) -> str:
    """Tells the same prompts apart from others, and nothing more to anybody without the key."""
    return hashlib.blake2b(prompt.encode(), key=key[:_MOST_KEY_BYTES], digest_size=8).hexdigest()
