"""The models that the router knows, refreshed from the providers service, which owns them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cached_property, lru_cache

from omnisphere.chat.v1 import chat_pb2
from omnisphere.model.v1 import model_pb2
from omnisphere.providers.v1 import providers_service_pb2 as providers_pb
from services.chassis.errors import InvalidRequest, PeerUnavailable, ServiceError, UnknownModel
from services.chassis.logs import Log
from services.router.peers import ProvidersPeer
from services.router.traits import Traits, embeds, traits_of

_TIMEOUT = 2.0
# Without a catalogue nothing can be routed, so the first one is asked for often.
_SOON = 0.25


@dataclass(frozen=True)
class Catalogue:
    """The models as they were at one moment. Immutable."""

    models: tuple[model_pb2.Model, ...]
    version: str

    @cached_property
    def simulated(self) -> bool:
        """Whether every model that can be called is simulated."""
        callable_models = [model for model in self.models if model.endpoints]
        return bool(callable_models) and all(model.simulated for model in callable_models)

    @cached_property
    def traits(self) -> Mapping[str, Traits]:
        """What planning asks of each model, by id."""
        return {model.id: traits_of(model) for model in self.models}

    def find(self, name: str) -> model_pb2.Model | None:
        """The model of this id or alias."""
        found = self._found.get(name) or named(self.models, name)
        if found is not None:
            self._found[name] = found
        return found

    @cached_property
    def _found(self) -> dict[str, model_pb2.Model]:
        """What was found by name so far; there are no more names than models have."""
        return {}

    def answering(self, name: str) -> model_pb2.Model:
        """The model of this name, if it answers conversations; raises UnknownModel, InvalidRequest."""
        model = self.resolve(name)
        if embeds(model):
            raise InvalidRequest(field="model", problem="names a model that answers no conversation")
        return model

    def embedding(self, name: str) -> model_pb2.Model:
        """The model of this name, if it makes vectors; raises UnknownModel, InvalidRequest."""
        model = self.resolve(name)
        if not embeds(model):
            raise InvalidRequest(field="model", problem="names a model that makes no vectors")
        return model

    def resolve(self, name: str) -> model_pb2.Model:
        """The model of this id or alias; raises UnknownModel."""
        found = self.find(name)
        if found is None:
            known = sorted({alias for model in self.models for alias in (model.id, *model.aliases)})
            raise UnknownModel(name=name, known=",".join(known))
        return found


def named(models: Sequence[model_pb2.Model], name: str) -> model_pb2.Model | None:
    """The model of this id or alias."""
    return next((model for model in models if model.id == name or name in model.aliases), None)


def answers_by_name(models: Sequence[model_pb2.Model]) -> dict[str, bool]:
    """Every id and alias, and whether that model answers conversations."""
    return {name: not embeds(model) for model in models for name in (model.id, *model.aliases)}


_number = lru_cache(maxsize=4_096)(Decimal)


def list_price(model: model_pb2.Model, usage: chat_pb2.Usage) -> chat_pb2.Cost:
    """What these tokens cost at the model's list price of a small request. An estimate: bills come from attempts."""
    if not model.HasField("prices"):
        return chat_pb2.Cost(nanousd=0, priced=False)
    prices = model.prices
    fresh, output = prices.input_usd_per_mtok, prices.output_usd_per_mtok
    usd_per_million = (
        _number(fresh) * usage.input_uncached_tokens
        + _number(prices.cache_read_usd_per_mtok or fresh) * usage.input_cache_read_tokens
        + _number(prices.cache_write_usd_per_mtok or fresh) * usage.input_cache_write_tokens
        + _number(output) * usage.output_tokens
        + _number(prices.reasoning_usd_per_mtok or output) * usage.reasoning_tokens
    )
    nanousd = (usd_per_million * 1_000).to_integral_value(ROUND_HALF_EVEN)
    return chat_pb2.Cost(nanousd=int(nanousd), priced=True)


class CatalogueKeeper:
    """Keeps the newest catalogue. `stale` is true while the last refresh failed."""

    def __init__(self, providers: ProvidersPeer, *, every: timedelta, log: Log) -> None:
        self._providers = providers
        self._every = every.total_seconds()
        self._log = log
        self._loop: asyncio.Task[None] | None = None
        self.current = Catalogue((), "")
        self.stale = True

    async def start(self) -> None:
        """Try once, then refresh in the background."""
        await self._refresh(_SOON)
        self._loop = asyncio.create_task(self._keep(), name="catalogue")

    async def stop(self) -> None:
        """End the background refresh."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)

    async def needed(self) -> Catalogue:
        """The catalogue; asked for now when there is none. Raises PeerUnavailable when it cannot be had."""
        if not self.current.models:
            await self._refresh(_TIMEOUT)
        if not self.current.models:
            raise PeerUnavailable(peer="providers")
        return self.current

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self._pause())
            await self._refresh(_TIMEOUT)

    def _pause(self) -> float:
        """Until the next look: the usual time, less where nothing can be called or an endpoint's rest ends before."""
        if not any(model.endpoints for model in self.current.models):
            return _SOON
        rests = (
            endpoint.rests_for.ToTimedelta().total_seconds()
            for model in self.current.models
            for endpoint in model.endpoints
            if endpoint.state == model_pb2.Endpoint.STATE_RESTING
        )
        return min(self._every, max(_SOON, min(rests, default=self._every)))

    async def _refresh(self, timeout: float) -> None:
        request = providers_pb.ListModelsRequest(known_version=self.current.version)
        try:
            response = await self._providers.list_models(request, timeout)
        except ServiceError as failure:
            if not self.stale:
                self._log.warning("catalogue_stale", reason=failure.reason())
            self.stale = True
            return
        self.stale = False
        if response.models:
            self.current = Catalogue(tuple(response.models), response.version)
            self._log.info("catalogue", models=len(response.models), version=response.version)
