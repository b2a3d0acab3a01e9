"""Which endpoint and which of its keys a call goes to. No I/O.

Whoever must be left alone (breaker open, a binding rest, the operator's limit reached) is not asked. Of the others,
those go first that need no rest and were not asked for this request before; then those of the lowest `priority`; among
these the place where the conversation's beginning is warm, else the one that the balancer chooses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import NamedTuple

from services.chassis.errors import ProviderRateLimited, ProviderUnavailable, ServiceError
from services.providers.affinity import WarmPlaces
from services.providers.balancer import Balancer, Load
from services.providers.consequences import Consequence, consequence
from services.providers.endpoints import Endpoint
from services.providers.keys import Key
from services.providers.places import EndpointState, KeyState, Places
from services.providers.rests import ALL
from services.providers.watch import Watch

# A warm prefix is worth a slower endpoint, but not any: at most this many times the load of the least loaded.
_WARM_IS_WORTH = 4.0
_FRESH, _TIRED, _ASKED = range(3)


class Need(NamedTuple):
    """What is to be sent: `tokens` is our guess, `beginning` may be empty, `avoid` names endpoints to ask last."""

    model: str
    tokens: int
    stream: bool
    beginning: bytes = b""
    avoid: frozenset[str] = frozenset()


@dataclass(slots=True)
class Tried:
    """Who was asked for this request already, and whether the very same may be asked again."""

    places: dict[tuple[str, str], bool] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)


class Pick(NamedTuple):
    """A call that is out: where, with which key, for which model. Ends with succeeded(), failed() or given_up()."""

    endpoint: Endpoint
    key: Key | None
    need: Need
    state: EndpointState
    key_state: KeyState

    @property
    def key_name(self) -> str:
        """The key's name; empty: none is needed."""
        return self.key.name if self.key else ""


class _Option(NamedTuple):
    endpoint: Endpoint
    key: Key | None
    state: EndpointState
    key_state: KeyState
    rank: int


class Picker:
    """Chooses, and learns from how it went."""

    def __init__(self, places: Places, balancer: Balancer, random: Random, watch: Watch) -> None:
        self._places = places
        self._balancer = balancer
        self._random = random
        self._watch = watch
        self._warm = WarmPlaces()

    def pick(self, endpoints: Sequence[Endpoint], need: Need, tried: Tried, now: float) -> Pick:
        """The next place; the call counts as out from here. Raises what the caller should hear when there is none."""
        options, waits = self._options(endpoints, need, tried, now)
        if not options:
            raise _nobody(endpoints, waits)
        option = options[0] if len(options) == 1 else self._best(options, need, now)
        option.state.breaker.start()
        option.state.in_flight += 1
        option.key_state.in_flight += 1
        option.key_state.headroom.take(need.model, need.tokens, now)
        self._watch.out(option.endpoint.name, 1)
        return Pick(option.endpoint, option.key, need, option.state, option.key_state)

    def another_at_once(self, endpoints: Sequence[Endpoint], need: Need, tried: Tried, now: float) -> bool:
        """Whether there is a place that was not asked for this request before."""
        options, _ = self._options(endpoints, need, tried, now)
        return any(option.rank < _ASKED for option in options)

    def waits_for(self, endpoints: Sequence[Endpoint], need: Need, tried: Tried, now: float) -> float | None:
        """Seconds until some place may be asked again; None: none will."""
        options, waits = self._options(endpoints, need, tried, now)
        return 0.0 if options else min((wait for wait, _ in waits), default=None)

    def headers(self, pick: Pick, headers: Mapping[str, str], now: float, wall: float) -> None:
        """The head of its answer has come."""
        pick.key_state.headroom.learn(pick.need.model, headers, now, wall)

    def succeeded(self, pick: Pick, seconds: float, now: float) -> None:
        """It was answered, after `seconds`."""
        self._returned(pick)
        self._somebody_is_there(pick)
        pick.state.took(seconds, now, stream=pick.need.stream)
        pick.state.rests.end(pick.need.model)
        pick.key_state.rests.end(pick.need.model)
        if pick.need.beginning:
            self._warm.note(pick.need.beginning, (pick.endpoint.name, pick.key_name), now)

    def failed(self, pick: Pick, error: ServiceError, tried: Tried, now: float) -> Consequence:
        """It failed. What that means for the next one."""
        self._returned(pick)
        what, model = consequence(error), pick.need.model
        if what.down:
            tried.down.add(pick.endpoint.name)
            if pick.state.breaker.failed(now):
                self._watch.breaker(pick.endpoint.name, is_open=True)
        else:
            self._somebody_is_there(pick)
        if what.rests:
            key_name = "" if what.rests == "endpoint_model" else pick.key_name
            self._watch.rest(pick.endpoint.name, key_name, error.reason())
        match what.rests:
            case "key":
                pick.key_state.rests.begin(ALL, now, seconds=what.seconds)
            case "key_model":
                pick.key_state.rests.begin(model, now, seconds=what.seconds)
            case "endpoint_model":
                pick.state.rests.begin(model, now, seconds=what.seconds)
        place = (pick.endpoint.name, pick.key_name)
        tried.places[place] = what.same_again and place not in tried.places
        return what

    def given_up(self, pick: Pick) -> None:
        """Nobody waited for its end."""
        self._returned(pick)
        pick.state.breaker.given_up()

    def _somebody_is_there(self, pick: Pick) -> None:
        was_open = not pick.state.breaker.closed
        pick.state.breaker.succeeded()
        if was_open:
            self._watch.breaker(pick.endpoint.name, is_open=False)

    def _returned(self, pick: Pick) -> None:
        self._watch.out(pick.endpoint.name, -1)
        pick.state.in_flight -= 1
        pick.key_state.in_flight -= 1

    def _options(
        self, endpoints: Sequence[Endpoint], need: Need, tried: Tried, now: float
    ) -> tuple[list[_Option], list[tuple[float, bool]]]:
        """(who may be asked, how long the others must wait and whether for a limit of rate)."""
        options: list[_Option] = []
        waits: list[tuple[float, bool]] = []
        for endpoint in endpoints:
            state = self._places.of(endpoint)
            if rest := max(state.breaker.rests_for(now), state.rests.binding_for(need.model, now)):
                waits.append((rest, False))
                continue
            for key in endpoint.keys or (None,):
                key_state = state.key(endpoint, key)
                again = tried.places.get((endpoint.name, key.name if key else ""))
                if again is False:
                    continue
                rest = key_state.rests.binding_for(need.model, now)
                if rest := max(rest, key_state.headroom.waits_for(need.tokens, now)):
                    waits.append((rest, True))
                    continue
                asked = again or endpoint.name in tried.down or endpoint.name in need.avoid
                rank = _ASKED if asked else _rank(state, key_state, need, now)
                options.append(_Option(endpoint, key, state, key_state, rank))
        return options, waits

    def _best(self, options: Sequence[_Option], need: Need, now: float) -> _Option:
        first = min((option.rank, option.endpoint.priority) for option in options)
        options = [option for option in options if (option.rank, option.endpoint.priority) == first]
        by_name: dict[str, list[_Option]] = {}
        for option in options:
            by_name.setdefault(option.endpoint.name, []).append(option)
        names = list(by_name)
        loads = [_load(by_name[name][0], need) for name in names]
        if (warm := self._warm_option(options, need, now)) and _bearable(warm, need, loads):
            return warm
        name = names[self._balancer.choose(loads, self._random)] if len(names) > 1 else names[0]
        keys = by_name[name]
        least = min(option.key_state.in_flight for option in keys)
        return self._random.choice([option for option in keys if option.key_state.in_flight == least])

    def _warm_option(self, options: Sequence[_Option], need: Need, now: float) -> _Option | None:
        place = self._warm.find(need.beginning, now) if need.beginning else None
        if place is None:
            return None
        return next((o for o in options if (o.endpoint.name, o.key.name if o.key else "") == place), None)


def _rank(state: EndpointState, key_state: KeyState, need: Need, now: float) -> int:
    tired = (
        state.rests.prefers_rest(need.model, now)
        or key_state.rests.prefers_rest(need.model, now)
        or key_state.headroom.is_tight(need.model, need.tokens, now)
    )
    return _TIRED if tired else _FRESH


def _load(option: _Option, need: Need) -> Load:
    return Load(option.endpoint.weight, option.state.in_flight, option.state.seconds(stream=need.stream))


def _bearable(warm: _Option, need: Need, loads: Sequence[Load]) -> bool:
    """Whether waiting there is still better than reading the beginning afresh elsewhere."""
    mine = _load(warm, need)
    return mine.in_flight + 1 <= _WARM_IS_WORTH * (min(load.in_flight for load in loads) + 1)


def _nobody(endpoints: Sequence[Endpoint], waits: Sequence[tuple[float, bool]]) -> ServiceError:
    """Everybody must be left alone: until when, and whose fault it is."""
    name = endpoints[0].name if len(endpoints) == 1 else ""
    if not waits:
        return ProviderUnavailable(provider=name, cause="resting")
    seconds, _ = min(waits)
    wait = timedelta(seconds=seconds)
    if all(limited for _, limited in waits):
        return ProviderRateLimited(provider=name, provider_type="resting", retry_after=wait)
    return ProviderUnavailable(provider=name, cause="resting", retry_after=wait)
