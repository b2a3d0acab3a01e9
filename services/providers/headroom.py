"""How much one key may still send: limits per minute that the operator stated, and what the provider's headers say.

No I/O. Stated limits are kept over every 60 seconds; what is learned holds until the moment that the header names.

    https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers
    https://docs.anthropic.com/en/api/rate-limits#response-headers
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

_MINUTE = 60.0
_NAMES = {
    "requests": (
        ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
        ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ),
    "tokens": (
        ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
        ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
        ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ),
}
_LENGTH = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_UNITS = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)
# A reset further away than this is a quota of another kind, and no reason to leave a key alone for so long.
_MOST_SECONDS = 300.0
_MOST_DIGITS = 15


@dataclass(slots=True)
class _Told:
    """What is left until a moment, as the provider said last."""

    left: int
    until: float


class PerMinute:
    """What was taken within the last 60 seconds, against a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken: deque[tuple[float, int]] = deque()
        self._sum = 0

    def waits_for(self, amount: int, now: float) -> float:
        """Seconds until `amount` may be taken; more than the limit may be when nothing else was."""
        self._forget(now)
        over = self._sum + min(amount, self._limit) - self._limit
        if over <= 0:
            return 0.0
        for at, taken in self._taken:
            over -= taken
            if over <= 0:
                return at + _MINUTE - now
        return _MINUTE

    def take(self, amount: int, now: float) -> None:
        """It is gone for a minute. What is taken within one second counts as taken at its end."""
        second = float(int(now) + 1)
        self._sum += amount
        if self._taken and self._taken[-1][0] == second:
            amount += self._taken.pop()[1]
        self._taken.append((second, amount))

    def _forget(self, now: float) -> None:
        while self._taken and self._taken[0][0] <= now - _MINUTE:
            self._sum -= self._taken.popleft()[1]


class Headroom:
    """One key at one endpoint. `rpm` and `tpm` are the operator's limits; 0: none."""

    def __init__(self, rpm: int, tpm: int) -> None:
        self._requests = PerMinute(rpm) if rpm else None
        self._tokens = PerMinute(tpm) if tpm else None
        self._told: dict[tuple[str, str], _Told] = {}

    def waits_for(self, tokens: int, now: float) -> float:
        """Seconds until the operator's limits allow a request of so many tokens."""
        if self._requests is None and self._tokens is None:
            return 0.0
        waits = 0.0
        if self._requests is not None:
            waits = self._requests.waits_for(1, now)
        if self._tokens is not None:
            waits = max(waits, self._tokens.waits_for(tokens, now))
        return waits

    def is_tight(self, model: str, tokens: int, now: float) -> bool:
        """Whether the provider said that it has no room for this now. Others use the key, too: it may be outdated."""
        if not self._told:
            return False
        for what, amount in (("requests", 1), ("tokens", tokens)):
            told = self._told.get((model, what))
            if told is not None and told.until > now and told.left < amount:
                return True
        return False

    def take(self, model: str, tokens: int, now: float) -> None:
        """A request goes out."""
        if self._requests is not None:
            self._requests.take(1, now)
        if self._tokens is not None:
            self._tokens.take(tokens, now)
        if not self._told:
            return
        for what, amount in (("requests", 1), ("tokens", tokens)):
            if told := self._told.get((model, what)):
                told.left -= amount

    def learn(self, model: str, headers: Mapping[str, str], now: float, wall: float) -> None:
        """What the head of an answer says. `wall` is the same moment in seconds since 1970."""
        for what, names in _NAMES.items():
            for remaining, reset in names:
                left = headers.get(remaining, "")
                if not left.isdecimal() or len(left) > _MOST_DIGITS:
                    continue
                if (seconds := _seconds(headers.get(reset, ""), wall)) is not None:
                    self._told[model, what] = _Told(int(left), now + min(seconds, _MOST_SECONDS))
                    break


def _seconds(text: str, wall: float) -> float | None:
    """How long from now: "1s", "6m0s", "20ms", "59.5" or an RFC 3339 moment; None: none of them."""
    match = _LENGTH.fullmatch(text)
    if match and any(match.groups()):
        return sum(float(figure) * unit for figure, unit in zip(match.groups("0"), _UNITS, strict=True))
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        return max(0.0, datetime.fromisoformat(text).timestamp() - wall)
    except (ValueError, OverflowError):
        return None
