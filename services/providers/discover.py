"""Which endpoints there are: the operator's file, keys in the environment, local servers, or the simulator.

    simulator = on    the simulator and nothing else; keys are ignored
    simulator = auto  operator's file, keys and local servers; the simulator only when these give nothing
    simulator = off   operator's file, keys and local servers

A local server counts only when it answers /v1/models with a valid list; our own simulator on such a port does not.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Protocol

from services.chassis.errors import ServiceError
from services.chassis.settings import Secret
from services.providers.adapters import WireFormat
from services.providers.endpoints import (
    Directory,
    Endpoint,
    LocalRow,
    ModelRow,
    Quirk,
    Shipped,
    VendorRow,
    merged,
)
from services.providers.keys import keys_of
from services.providers.operator_file import EndpointRow, OperatorFile
from services.providers.prices import ListPrice
from services.providers.tariff import PriceRow
from services.providers.via import Via

_LOCAL_ALIAS = "qwen-local"
_LOCAL_WINDOW, _LOCAL_OUTPUT = 32_768, 8_192
_PATIENCE = 1.0
# The wire formats of simulated models: the endpoint's name, and the version in its address.
_SIMULATED: Mapping[WireFormat, tuple[str, str]] = {
    "openai_chat": ("simulator", "v1"),
    "openai_responses": ("simulator-responses", "v1"),
    "anthropic_messages": ("simulator-messages", "v1"),
    "gemini_generate": ("simulator-gemini", "v1beta"),
}
# As at OpenAI: a third of the bytes. The other formats ignore it.
_SIMULATED_QUIRKS: frozenset[Quirk] = frozenset({"base64_vectors"})
# A list of models does not say what they are for; the names of those that make vectors do.
_EMBEDS = re.compile(r"embed|minilm|(?:^|[/:_-])(?:bge|e5|gte)[_-]", re.IGNORECASE)


class Probe(Protocol):
    """Fetches a small document: (status, body, server header). Raises ServiceError."""

    async def get(
        self, url: str, headers: Mapping[str, str], provider: str, *, patience: float
    ) -> tuple[int, bytes, str]:
        """The document."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that endpoints can come from."""

    shipped: Shipped
    operator: OperatorFile
    keys: Mapping[str, Secret]
    simulator: str
    simulator_url: str
    look_locally: bool
    proxy: str = ""


async def discover(sources: Sources, probe: Probe) -> Directory:
    """What is there now."""
    models = merged(sources.shipped.models, sources.operator.model)
    if sources.simulator != "on":
        endpoints = [_operator_endpoint(row, sources) for row in sources.operator.endpoint]
        own = {row.name for row in sources.operator.endpoint}
        vendors = [row for row in sources.shipped.vendors if row.name not in own]
        vendors = [row for row in vendors if keys_of(row.key_variable, sources.keys)]
        endpoints += [_vendor_endpoint(row, models, sources) for row in vendors]
        rows = sources.shipped.locals if sources.look_locally else ()
        looked = await asyncio.gather(*(_local_endpoint(row, probe) for row in rows))
        found = [local for local in looked if local is not None]
        models = _with_local_models(models, found, endpoints)
        endpoints += found
        if endpoints or sources.simulator == "off":
            return Directory(models, tuple(endpoints), sources.shipped.price_providers, sources.operator.price)
    return await _simulated(models, sources, probe)


def _operator_endpoint(row: EndpointRow, sources: Sources) -> Endpoint:
    return Endpoint(
        name=row.name,
        base_url=row.base_url.rstrip("/"),
        keys=keys_of(row.key_variable, sources.keys),
        via=row.via(sources.proxy),
        serves=row.serves,
        format=row.format,
        quirks=frozenset(row.quirks),
        price_provider=row.price_provider,
        priority=row.priority,
        weight=row.weight,
        rpm=row.rpm,
        tpm=row.tpm,
        region_tags=row.region_tags,
    )


def _vendor_endpoint(row: VendorRow, models: Sequence[ModelRow], sources: Sources) -> Endpoint:
    own = {model.id: model.id for model in models if model.vendor == row.name}
    return Endpoint(
        name=row.name,
        base_url=row.base_url,
        keys=keys_of(row.key_variable, sources.keys),
        via=Via(sources.proxy),
        serves=row.serves or own,
        format=row.format,
        quirks=frozenset(row.quirks),
        price_provider=row.price_provider,
        priority=row.priority,
    )


async def _local_endpoint(row: LocalRow, probe: Probe) -> Endpoint | None:
    listed = await _listed(row.base_url, row.name, probe)
    if listed is None or any(entry.get("simulated") for entry in listed):
        return None
    return Endpoint(
        name=row.name,
        base_url=row.base_url,
        serves={entry["id"]: entry["id"] for entry in listed},
        quirks=frozenset({"system_role_only"}),
    )


def _with_local_models(
    models: tuple[ModelRow, ...], local: Sequence[Endpoint], others: Sequence[Endpoint]
) -> tuple[ModelRow, ...]:
    """The servers' models join the catalogue; the local model's alias moves to one of them where nobody serves it."""
    known = {row.id for row in models}
    fresh = dict.fromkeys(name for endpoint in local for name in endpoint.serves if name not in known)
    free = PriceRow(input_usd_per_mtok="0", output_usd_per_mtok="0")
    rows = [_local_row(name, free) for name in fresh]
    holder = next((row for row in models if _LOCAL_ALIAS in row.aliases), None)
    served = {name for endpoint in (*local, *others) for name in endpoint.serves}
    answering = [row for row in rows if not row.embeds]
    if holder is not None and holder.id not in served and answering:
        chosen = next((row for row in answering if row.id.lower().startswith("qwen")), answering[0])
        rows[rows.index(chosen)] = replace(chosen, aliases=(_LOCAL_ALIAS,))
    return merged(models, tuple(rows))


def _local_row(name: str, price: PriceRow) -> ModelRow:
    embeds = _EMBEDS.search(name) is not None
    return ModelRow(
        id=name,
        vendor="local",
        tier="small",
        window_tokens=_LOCAL_WINDOW,
        max_output_tokens=0 if embeds else _LOCAL_OUTPUT,
        capabilities=("embeddings",) if embeds else ("tools",),
        price=price,
    )


async def _simulated(models: tuple[ModelRow, ...], sources: Sources, probe: Probe) -> Directory:
    base_url = f"{sources.simulator_url.rstrip('/')}/v1"
    listed = await _listed(base_url, "simulator", probe)
    if not listed or not all(entry.get("simulated") for entry in listed):
        return Directory(models, (), sources.shipped.price_providers)
    known = {row.id for row in models}
    rows = [_simulated_row(entry) for entry in listed if entry["id"] not in known]
    prices = {entry["id"]: price for entry in listed if (price := _stated_price(entry)) is not None}
    endpoints = []
    for wire_format, (name, version) in _SIMULATED.items():
        mine = [entry["id"] for entry in listed if entry.get("simulated_format", "openai_chat") == wire_format]
        if mine:
            endpoint = Endpoint(
                name=name,
                base_url=f"{sources.simulator_url.rstrip('/')}/{version}",
                format=wire_format,
                quirks=_SIMULATED_QUIRKS,
                serves={model: model for model in mine},
                prices={model: prices[model] for model in mine if model in prices},
                simulated=True,
            )
            endpoints.append(endpoint)
    return Directory(merged(models, tuple(rows)), tuple(endpoints), sources.shipped.price_providers)


def _simulated_row(entry: Mapping[str, Any]) -> ModelRow:
    window = entry.get("context_length")
    embeds = bool(entry.get("dimensions"))
    tokens = window if isinstance(window, int) and window > 0 else _LOCAL_WINDOW
    return ModelRow(
        id=entry["id"],
        vendor="simulator",
        tier="small",
        window_tokens=tokens,
        max_output_tokens=0 if embeds else min(tokens // 4, _LOCAL_OUTPUT),
        capabilities=("embeddings",) if embeds else ("tools",),
    )


def _stated_price(entry: Mapping[str, Any]) -> ListPrice | None:
    """The price that an endpoint states itself, in USD per token, in the form that OpenRouter uses."""
    pricing = entry.get("pricing")
    if not isinstance(pricing, dict):
        return None
    try:
        return ListPrice.of(
            _per_million(pricing["prompt"]),
            _per_million(pricing["completion"]),
            _per_million(pricing["input_cache_read"]) if pricing.get("input_cache_read") else "",
            source="endpoint",
        )
    except (KeyError, ValueError, ArithmeticError):
        return None


def _per_million(per_token: object) -> str:
    return f"{(Decimal(str(per_token)) * 1_000_000).normalize():f}"


async def _listed(base_url: str, name: str, probe: Probe) -> list[Mapping[str, Any]] | None:
    """The entries of /models; None: nobody there, or not a model server."""
    try:
        status, body, _ = await probe.get(f"{base_url}/models", {}, name, patience=_PATIENCE)
    except ServiceError:
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    entries = document.get("data") if status == 200 and isinstance(document, dict) else None
    if not isinstance(entries, list) or not entries:
        return None
    valid = all(isinstance(entry, dict) and isinstance(entry.get("id"), str) and entry["id"] for entry in entries)
    return entries if valid else None
