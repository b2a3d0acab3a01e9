"""Which models are known, and which endpoints can serve them: what the package ships, and the directory of all."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Literal, TypeVar

from omnisphere.model.v1 import model_pb2
from services.chassis.errors import NoEndpoint, UnknownModel
from services.chassis.settings import StartError, decode, read_toml
from services.providers.adapters import Target, WireFormat
from services.providers.keys import Key
from services.providers.prices import ListPrice, Price, guessed, look_up
from services.providers.tariff import PriceOverride, PriceRow, Tariff
from services.providers.via import STRAIGHT, Via

T = TypeVar("T")
TierName = Literal["small", "medium", "large", "frontier"]
CapabilityName = Literal["tools", "images", "documents", "json_schema", "reasoning", "embeddings"]
# How a vendor or a model differs from its wire format; each format says which it knows, and ignores the others.
Quirk = Literal[
    "adaptive_thinking",
    "api_key_header",
    "base64_vectors",
    "bearer_key",
    "cache_marks",
    "developer_role",
    "max_completion_tokens",
    "minimal_effort",
    "verbosity",
    "no_reasoning_effort",
    "no_sampling",
    "no_stream_options",
    "random_seed",
    "reasoning_content",
    "reasoning_details",
    "system_role_only",
    "thinking_content",
    "thinking_level",
    "thinking_switch",
    "thought_signature_required",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """A model as a file describes it."""

    id: str
    vendor: str
    tier: TierName
    window_tokens: int
    max_output_tokens: int
    aliases: tuple[str, ...] = ()
    capabilities: tuple[CapabilityName, ...] = ()
    quirks: tuple[Quirk, ...] = ()
    price: PriceRow | None = None

    @property
    def embeds(self) -> bool:
        """Whether it turns texts into vectors, and answers no conversation."""
        return "embeddings" in self.capabilities


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorRow:
    """A vendor that becomes an endpoint when its key is there. Without `serves` it serves its own models."""

    name: str
    base_url: str
    key_variable: str
    price_provider: str
    format: WireFormat = "openai_chat"
    quirks: tuple[Quirk, ...] = ()
    serves: dict[str, str] = field(default_factory=dict)
    priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalRow:
    """A local server and its usual address."""

    name: str
    base_url: str


@dataclass(frozen=True, slots=True)
class _Catalogue:
    model: tuple[ModelRow, ...]


@dataclass(frozen=True, slots=True)
class _Vendors:
    vendor: tuple[VendorRow, ...]
    local: tuple[LocalRow, ...]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One place that serves models. `serves`: concrete id -> the server's own name of the model. Without `keys` none is
    needed."""

    name: str
    base_url: str
    serves: Mapping[str, str]
    keys: tuple[Key, ...] = ()
    format: WireFormat = "openai_chat"
    quirks: frozenset[Quirk] = frozenset()
    price_provider: str = ""
    prices: Mapping[str, ListPrice] = field(default_factory=dict)
    simulated: bool = False
    priority: int = 0
    weight: float = 1.0
    rpm: int = 0
    tpm: int = 0
    via: Via = STRAIGHT
    region_tags: tuple[str, ...] = ()

    def serves_in(self, regions: Collection[str]) -> bool:
        """Whether a request that names these regions may be sent there; one that names none may be sent anywhere."""
        return not regions or any(tag in regions for tag in self.region_tags)

    def target(self, model: ModelRow) -> Target:
        """The model as requests here name it. A simulated one has the quirks of its place alone."""
        quirks = self.quirks if self.simulated else self.quirks | set(model.quirks)
        served, capabilities = self.serves[model.id], frozenset(model.capabilities)
        return Target(model.id, served, model.max_output_tokens, quirks, capabilities)


@dataclass(frozen=True, slots=True)
class Shipped:
    """What the package's own files say."""

    models: tuple[ModelRow, ...]
    vendors: tuple[VendorRow, ...]
    locals: tuple[LocalRow, ...]

    @property
    def price_providers(self) -> dict[str, str]:
        """Vendor -> genai-prices' name of it."""
        return {row.name: row.price_provider for row in self.vendors}


def shipped() -> Shipped:
    """catalogue.toml and vendors.toml of this package."""
    with resources.as_file(resources.files("services.providers")) as folder:
        models = _decoded(_Catalogue, folder / "catalogue.toml").model
        vendors = _decoded(_Vendors, folder / "vendors.toml")
    return Shipped(models, vendors.vendor, vendors.local)


def merged(models: tuple[ModelRow, ...], more: tuple[ModelRow, ...]) -> tuple[ModelRow, ...]:
    """`models` with those of `more` put in the place of an equal id, or after them; a name of these is theirs alone."""
    taken = {alias for row in more for alias in row.aliases}
    kept = [replace(row, aliases=tuple(one for one in row.aliases if one not in taken)) for row in models]
    by_id = {row.id: row for row in kept} | {row.id: row for row in more}
    return tuple(by_id.values())


class Directory:
    """The models that are known now, and who serves them. Immutable: a discovery makes a new one.

    `price_providers` (vendor -> genai-prices' name of it) gives the list prices of models that nobody serves here, so
    that what was saved can be compared with them.
    """

    def __init__(
        self,
        models: tuple[ModelRow, ...],
        endpoints: tuple[Endpoint, ...],
        price_providers: Mapping[str, str] | None = None,
        overrides: Sequence[PriceOverride] = (),
    ) -> None:
        self._price_providers = price_providers or {}
        self._overrides: dict[tuple[str, str], list[PriceOverride]] = {}
        for override in overrides:
            self._overrides.setdefault((override.model, override.endpoint), []).append(override)
        # Worked out when they are first asked for.
        self._prices: dict[tuple[str, str], Price | None] = {}
        self._targets: dict[tuple[str, str], Target] = {}
        self.models = {row.id: row for row in models}
        self.endpoints = endpoints
        self._by_name = {alias: row.id for row in models for alias in row.aliases} | {i: i for i in self.models}
        self._serving = {
            model: tuple(endpoint for endpoint in endpoints if model in endpoint.serves) for model in self.models
        }
        rows = [self._message(row) for row in models]
        self.listed = tuple(sorted(rows, key=lambda model: (model.vendor, model.id)))
        digest = hashlib.sha256()
        for model in self.listed:
            digest.update(model.SerializeToString(deterministic=True))
        self.version = digest.hexdigest()[:16]

    def resolve(self, name: str) -> ModelRow:
        """The model of this id or alias."""
        if name not in self._by_name:
            raise UnknownModel(name=name[:128], known=",".join(sorted(self._by_name)))
        return self.models[self._by_name[name]]

    def endpoints_for(self, model: str) -> tuple[Endpoint, ...]:
        """The endpoints that serve the concrete id; at least one."""
        serving = self._serving[model]
        if not serving:
            raise NoEndpoint(model=model)
        return serving

    def price(self, model: str, endpoint: Endpoint) -> Price | None:
        """What a call costs there: the operator's price, the endpoint's own, the price book's, or None: unknown."""
        place = (model, endpoint.name)
        if place not in self._prices:
            self._prices[place] = self._found_price(self.models[model], endpoint)
        return self._prices[place]

    def target(self, model: ModelRow, endpoint: Endpoint) -> Target:
        """The model as requests there name it."""
        place = (model.id, endpoint.name)
        if place not in self._targets:
            self._targets[place] = endpoint.target(model)
        return self._targets[place]

    def guess(self, model: str) -> Price:
        """For a model without a known price: the dearest list price of its tier, so that nobody is surprised."""
        tier = self.models[model].tier
        prices = [self._list_price(row) for row in self.models.values() if row.tier == tier and not row.embeds]
        return guessed([price for price in prices if price is not None])

    def _found_price(self, row: ModelRow, endpoint: Endpoint) -> Price | None:
        if endpoint.simulated:
            return endpoint.prices.get(row.id)
        own: Price | None = row.price.price() if row.price is not None else endpoint.prices.get(row.id)
        served = endpoint.serves[row.id]
        own = own or look_up(endpoint.price_provider, served, input_only=row.embeds)
        return self._overridden(row, own, endpoint.name, "")

    def _list_price(self, row: ModelRow) -> Price | None:
        own: Price | None = row.price.price() if row.price is not None else None
        own = own or look_up(self._price_providers.get(row.vendor, ""), row.id, input_only=row.embeds)
        return self._overridden(row, own, "")

    def _overridden(self, row: ModelRow, own: Price | None, *endpoints: str) -> Price | None:
        rows = next((found for name in endpoints if (found := self._overrides.get((row.id, name)))), None)
        return Tariff(rows, own) if rows else own

    def _message(self, row: ModelRow) -> model_pb2.Model:
        serving = self._serving[row.id]
        price = self.price(row.id, serving[0]) if serving else self._list_price(row)
        ready = model_pb2.Endpoint.STATE_READY
        return model_pb2.Model(
            id=row.id,
            aliases=row.aliases,
            vendor=row.vendor,
            tier=model_pb2.Tier.Value(f"TIER_{row.tier.upper()}"),
            window_tokens=row.window_tokens,
            max_output_tokens=row.max_output_tokens,
            capabilities=[model_pb2.Capability.Value(f"CAPABILITY_{name.upper()}") for name in row.capabilities],
            prices=price.listed() if price else None,
            simulated=any(endpoint.simulated for endpoint in serving),
            endpoints=[
                model_pb2.Endpoint(
                    name=endpoint.name,
                    state=ready,
                    region_tags=endpoint.region_tags,
                    wire_format=endpoint.format,
                )
                for endpoint in serving
            ],
        )


def _decoded(kind: type[T], path: Path) -> T:
    problems: list[str] = []
    value: T = decode(kind, read_toml(path), str(path), problems)
    if problems:
        raise StartError("\n".join(problems))
    return value
