"""Whom to leave alone, and until when: a key that was refused, a model that an endpoint does not have. No I/O.

A rest that the provider asked for is binding. One that we chose only puts others first, until it was needed three times
in a row; each is twice as long as the one before.
"""

from __future__ import annotations

from dataclasses import dataclass

# For all models.
ALL = ""
_FIRST, _MOST = 1.0, 600.0
_BINDING_STRIKES = 3
_MOST_STRIKES = 16


@dataclass(slots=True)
class _Rest:
    until: float
    binding: bool
    strikes: int


class Rests:
    """The rests of one key, or of one endpoint, by model. None is longer than `longest` seconds; 0: there are none."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._rests: dict[str, _Rest] = {}

    def begin(self, model: str, now: float, *, seconds: float | None) -> None:
        """It was refused. `seconds` is what the provider asked for; None: it did not say."""
        if not self._longest:
            return
        before = self._rests.get(model)
        strikes = min(before.strikes + 1 if before else 1, _MOST_STRIKES)
        chosen = min(_FIRST * 2 ** (strikes - 1), _MOST)
        length = min(chosen if seconds is None else seconds, self._longest)
        binding = seconds is not None or strikes >= _BINDING_STRIKES
        self._rests[model] = _Rest(now + length, binding, strikes)

    def end(self, model: str) -> None:
        """It was answered."""
        if self._rests:
            self._rests.pop(model, None)
            self._rests.pop(ALL, None)

    def binding_for(self, model: str, now: float) -> float:
        """Seconds for which it must be left alone; 0: it need not."""
        if not self._rests:
            return 0.0
        return max((rest.until - now for rest in self._of(model) if rest.binding and rest.until > now), default=0.0)

    def prefers_rest(self, model: str, now: float) -> bool:
        """Whether others should go first."""
        return bool(self._rests) and any(rest.until > now for rest in self._of(model))

    def _of(self, model: str) -> list[_Rest]:
        return [rest for name in (model, ALL) if (rest := self._rests.get(name)) is not None]
