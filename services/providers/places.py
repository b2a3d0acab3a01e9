"""What is known of every endpoint and key while the process lives: breaker, rests, headroom, latency, calls in flight.

No I/O, and no clock of its own. It outlives a new directory: state belongs to the endpoint's name and the key's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from services.providers.breaker import Breaker, BreakerRules
from services.providers.endpoints import Endpoint
from services.providers.headroom import Headroom
from services.providers.keys import Key
from services.providers.rests import Rests

# How fast an old latency is forgotten, in seconds.
_FORGETS = 10.0


@dataclass(slots=True)
class KeyState:
    """One key at one endpoint."""

    headroom: Headroom
    rests: Rests
    in_flight: int = 0


class EndpointState:
    """One endpoint."""

    def __init__(self, rules: BreakerRules, longest_rest: float) -> None:
        self.breaker = Breaker(rules)
        self.rests = Rests(longest_rest)
        self._longest_rest = longest_rest
        self.keys: dict[str, KeyState] = {}
        self.in_flight = 0
        self._seconds: dict[bool, tuple[float, float]] = {}

    def key(self, endpoint: Endpoint, key: Key | None) -> KeyState:
        """The state of a key of the endpoint; of the endpoint itself where it needs none."""
        name = key.name if key else ""
        state = self.keys.get(name)
        if state is None:
            state = self.keys[name] = KeyState(Headroom(endpoint.rpm, endpoint.tpm), Rests(self._longest_rest))
        return state

    def seconds(self, *, stream: bool) -> float:
        """How long it takes to answer of late; 0: not known. Streams count until their first token."""
        return self._seconds.get(stream, (0.0, 0.0))[0]

    def took(self, seconds: float, now: float, *, stream: bool) -> None:
        """An answer took so long: an average that forgets with time, not with the number of calls."""
        average, at = self._seconds.get(stream, (seconds, now))
        keeps = math.exp(-(now - at) / _FORGETS)
        self._seconds[stream] = (average * keeps + seconds * (1 - keeps), now)


class Places:
    """The states of all endpoints, made when they are first met."""

    def __init__(self, rules: BreakerRules, longest_rest: float) -> None:
        self._rules = rules
        self._longest_rest = longest_rest
        self._states: dict[str, EndpointState] = {}

    def of(self, endpoint: Endpoint) -> EndpointState:
        """The state of an endpoint."""
        state = self._states.get(endpoint.name)
        if state is None:
            state = self._states[endpoint.name] = EndpointState(self._rules, self._longest_rest)
        return state

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget endpoints that are gone, unless a call is still out."""
        kept = set(names)
        for name in [name for name, state in self._states.items() if name not in kept and not state.in_flight]:
            del self._states[name]

    def rests_for(self, endpoint: Endpoint, model: str, now: float) -> float:
        """Seconds for which no call for the model goes out to the endpoint; 0: calls go out."""
        state = self.of(endpoint)
        waits = max(state.breaker.rests_for(now), state.rests.binding_for(model, now))
        keys = [state.key(endpoint, key).rests.binding_for(model, now) for key in endpoint.keys or (None,)]
        return max(waits, min(keys))
