"""What an operator may say in providers.toml, and what is wrong with it: nothing that stands there is ignored."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx

from services.chassis.server_settings import MOST_PORT
from services.chassis.settings import Secret, StartError, decode, read_toml
from services.providers.adapters import WireFormat
from services.providers.endpoints import ModelRow, Quirk, Shipped, merged
from services.providers.keys import KEY_SUFFIX, keys_of
from services.providers.prices import is_known
from services.providers.tariff import PriceOverride
from services.providers.via import Via

_NAME = re.compile(r"[!-~]{1,128}")
_HOST = re.compile(rb"[A-Za-z0-9.:_-]+")
# The formats add these themselves.
_PATHS = ("/chat/completions", "/responses", "/messages", "/embeddings")


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRow:
    """An endpoint as the operator's file describes it; one with a vendor's name takes that vendor's place.

    `serves`: concrete id -> the server's own name of the model. `rpm` and `tpm` are limits of each key per minute; 0:
    none. Endpoints of the lowest `priority` are asked first; among those `weight` counts.
    """

    name: str
    base_url: str
    serves: dict[str, str]
    key_variable: str = ""
    format: WireFormat = "openai_chat"
    price_provider: str = ""
    quirks: tuple[Quirk, ...] = ()
    priority: int = 0
    weight: float = 1.0
    rpm: int = 0
    tpm: int = 0
    # A proxy of its own, or "direct" past the one of the settings; and the authorities that vouch for the server.
    proxy: str = ""
    ca_file: Path | None = None
    # Where it serves, in the operator's words: requests that name regions are sent to no other endpoint.
    region_tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("name must be 1 to 128 characters without blanks")
        _check_address(self.base_url)
        if not self.serves or not all(self.serves.values()):
            raise ValueError("serves must name a model, and the server's own name of each")
        if self.key_variable and not self.key_variable.endswith(KEY_SUFFIX):
            raise ValueError(f"key_variable must end with {KEY_SUFFIX}")
        if not 0 < self.weight < float("inf"):
            raise ValueError("weight must be above 0")
        if self.rpm < 0 or self.tpm < 0:
            raise ValueError("rpm and tpm must be 0 or more")
        self.via("")
        if self.ca_file is not None and not self.ca_file.is_file():
            raise ValueError("ca_file is no file")

    def via(self, proxy: str) -> Via:
        """How it is reached; `proxy` is that of the settings."""
        own = "" if self.proxy == "direct" else self.proxy or proxy
        return Via(own, str(self.ca_file or ""))


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorFile:
    """providers.toml: endpoints, models, and prices of any; a model with a known id replaces the shipped one."""

    endpoint: tuple[EndpointRow, ...] = ()
    model: tuple[ModelRow, ...] = ()
    price: tuple[PriceOverride, ...] = ()


def read(path: Path, shipped: Shipped, keys: Mapping[str, Secret] | None = None) -> OperatorFile:
    """The file. Raises StartError that names every problem. `keys`: those that there are; None: none is needed."""
    problems: list[str] = []
    file: OperatorFile = decode(OperatorFile, read_toml(path), str(path), problems)
    if not problems:
        problems = [f"{path}.{problem}" for problem in (*_problems(file, shipped), *_missing_keys(file, keys))]
    if problems:
        raise StartError("\n".join(problems))
    return file


def _missing_keys(file: OperatorFile, keys: Mapping[str, Secret] | None) -> Iterator[str]:
    """Without its key an endpoint would be asked all the same, and refuse every request."""
    for at, row in enumerate(file.endpoint):
        if keys is not None and row.key_variable and not keys_of(row.key_variable, keys):
            yield f"endpoint[{at}].key_variable: {row.key_variable} is not set, or holds no key"


def _problems(file: OperatorFile, shipped: Shipped) -> Iterator[str]:
    models = merged(shipped.models, file.model)
    ids = {row.id for row in models}
    alias_of = {alias: row.id for row in models for alias in row.aliases}
    yield from _twice("endpoint", "name", [row.name for row in file.endpoint])
    yield from _twice("model", "id", [row.id for row in file.model])
    yield from _model_problems(file.model, ids)
    for at, endpoint in enumerate(file.endpoint):
        if endpoint.price_provider and not is_known(endpoint.price_provider):
            yield f"endpoint[{at}].price_provider: {endpoint.price_provider!r} is no provider of genai-prices"
        for model in endpoint.serves:
            if model not in ids:
                said = _unknown(model, alias_of, ", and there is no [[model]] for it")
                yield f"endpoint[{at}].serves.{model}: {said}"
    places = {row.name for row in file.endpoint} | {row.name for row in shipped.vendors}
    places |= {row.name for row in shipped.locals}
    for at, price in enumerate(file.price):
        if price.model not in ids:
            yield f"price[{at}].model: {price.model!r} {_unknown(price.model, alias_of)}"
        if price.endpoint and price.endpoint not in places:
            yield f"price[{at}].endpoint: {price.endpoint!r} is no endpoint"
    stated = [(row.model, row.endpoint, row.since, row.above_input_tokens) for row in file.price]
    yield from _twice("price", "model", stated, "has this price twice, for the same endpoint, day and size")


def _model_problems(rows: Iterable[ModelRow], ids: set[str]) -> Iterator[str]:
    taken: set[str] = set()
    for at, row in enumerate(rows):
        if not _NAME.fullmatch(row.id):
            yield f"model[{at}].id: must be 1 to 128 characters without blanks"
        if row.window_tokens < 1:
            yield f"model[{at}].window_tokens: must be above 0"
        if not (row.embeds or 0 < row.max_output_tokens <= row.window_tokens):
            yield f"model[{at}].max_output_tokens: must be above 0, and not above window_tokens"
        for alias in row.aliases:
            if alias in ids:
                yield f"model[{at}].aliases: {alias!r} is the id of a model"
            elif alias in taken:
                yield f"model[{at}].aliases: {alias!r} is used twice"
            taken.add(alias)


def _twice(table: str, name: str, values: Iterable[object], problem: str = "is used twice") -> Iterator[str]:
    seen: Counter[object] = Counter()
    for at, value in enumerate(values):
        seen[value] += 1
        if seen[value] == 2:
            yield f"{table}[{at}].{name}: {problem}"


def _unknown(model: str, alias_of: Mapping[str, str], more: str = "") -> str:
    if model in alias_of:
        return f"is an alias; the id is {alias_of[model]}"
    return f"is no id of the catalogue{more}"


def _check_address(base_url: str) -> None:
    if not base_url.startswith(("http://", "https://")):
        raise ValueError("base_url must start with http:// or https://")
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        raise ValueError("base_url is no address") from None
    if not _HOST.fullmatch(url.raw_host) or (url.port or 0) > MOST_PORT:
        raise ValueError("base_url has no host, or a port that is none")
    if url.userinfo:
        raise ValueError("base_url must have no user and password: keys come from key_variable")
    if url.fragment:
        raise ValueError("base_url must have no fragment")
    ending = next((path for path in _PATHS if url.path.rstrip("/").endswith(path)), None)
    if ending is not None:
        raise ValueError(f"base_url must end before {ending}, which the format adds")
