"""The simulated models: read, checked and frozen from a TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from services.simulator.tasks import TASKS, TIERS

BUNDLED_FLEET = Path(__file__).with_name("fleet.toml")

_MODEL_KEYS = frozenset(
    {
        "id",
        "vendor",
        "format",
        "tier",
        "first_token_ms",
        "tokens_per_second",
        "window",
        "price",
        "skill",
        "dimensions",
    }
)
_PRICE_KEYS = frozenset({"input", "cache_read", "output"})


# The dialects, as the mesh calls them.
FORMATS = ("openai_chat", "openai_responses", "anthropic_messages", "gemini_generate")


class FleetError(ValueError):
    """A fleet file cannot be used; the text names the file, the key and the problem."""


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens; `cache_read` is None where the vendor lists no such price."""

    input: Decimal
    cache_read: Decimal | None
    output: Decimal


@dataclass(frozen=True, slots=True)
class Model:
    """One simulated model. With `dimensions` it makes vectors of that length, and answers no conversation."""

    id: str
    vendor: str
    tier: str
    price: Price
    first_token_ms: float
    tokens_per_second: float
    window: int
    skill: Mapping[str, float]
    dimensions: int = 0
    format: str = "openai_chat"


def load_fleet(path: Path = BUNDLED_FLEET) -> dict[str, Model]:
    """Read the models by id, in file order; raise FleetError on the first problem."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FleetError(f"{path}: cannot be read ({error.strerror})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FleetError(f"{path}: not valid TOML ({error})") from error
    return _Reader(path).fleet(document)


class _Reader:
    """Turns parsed TOML into models; knows the file's name for its errors."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def fleet(self, document: Mapping[str, object]) -> dict[str, Model]:
        self._known_keys(document, frozenset({"model"}), "")
        rows = document.get("model")
        if not isinstance(rows, list) or not rows:
            raise self._problem("model", "at least one [[model]] table is needed")
        fleet: dict[str, Model] = {}
        for number, row in enumerate(rows, start=1):
            model = self._model(row, number)
            if model.id in fleet:
                raise self._problem(f"model {model.id}", "the id is listed twice")
            fleet[model.id] = model
        return fleet

    def _model(self, row: object, number: int) -> Model:
        if not isinstance(row, dict):
            raise self._problem(f"model[{number}]", "must be a table")
        ident = self._text(row, "id", f"model[{number}].")
        where = f"model {ident}: "
        self._known_keys(row, _MODEL_KEYS, where)
        tier = self._text(row, "tier", where)
        if tier not in TIERS:
            raise self._problem(f"{where}tier", f"{tier!r} is none of {', '.join(TIERS)}")
        embeds = "dimensions" in row
        if embeds and "skill" in row:
            raise self._problem(f"{where}skill", "a model with dimensions answers no tasks")
        return Model(
            id=ident,
            vendor=self._text(row, "vendor", where),
            format=self._format(row, where),
            tier=tier,
            price=self._price(self._table(row, "price", where), where),
            first_token_ms=self._number(row, "first_token_ms", where, at_least=0.0),
            tokens_per_second=self._number(row, "tokens_per_second", where, at_least=1.0),
            window=self._whole(row, "window", where),
            skill={} if embeds else self._skill(self._table(row, "skill", where), where),
            dimensions=self._whole(row, "dimensions", where) if embeds else 0,
        )

    def _format(self, row: Mapping[str, object], where: str) -> str:
        if "format" not in row:
            return "openai_chat"
        found = self._text(row, "format", where)
        if found not in FORMATS:
            raise self._problem(f"{where}format", f"{found!r} is none of {', '.join(FORMATS)}")
        return found

    def _price(self, table: Mapping[str, object], where: str) -> Price:
        self._known_keys(table, _PRICE_KEYS, f"{where}price.")
        cached = None
        if "cache_read" in table:
            cached = self._decimal(table, "cache_read", f"{where}price.")
        return Price(
            input=self._decimal(table, "input", f"{where}price."),
            cache_read=cached,
            output=self._decimal(table, "output", f"{where}price."),
        )

    def _skill(self, table: Mapping[str, object], where: str) -> Mapping[str, float]:
        self._known_keys(table, frozenset(TASKS), f"{where}skill.")
        skill = {task: self._number(table, task, f"{where}skill.", at_least=0.0) for task in TASKS}
        for task, value in skill.items():
            if value > 1.0:
                raise self._problem(f"{where}skill.{task}", f"{value} is not within 0..1")
        return skill

    def _whole(self, row: Mapping[str, object], key: str, where: str) -> int:
        value = self._number(row, key, where, at_least=1.0)
        if value != int(value):
            raise self._problem(f"{where}{key}", f"{value} is not a whole number")
        return int(value)

    def _known_keys(self, table: Mapping[str, object], known: frozenset[str], where: str) -> None:
        for key in table:
            if key not in known:
                raise self._problem(f"{where}{key}", f"unknown key (known: {_listed(known)})")

    def _table(self, row: Mapping[str, object], key: str, where: str) -> Mapping[str, object]:
        value = row.get(key)
        if not isinstance(value, dict):
            raise self._problem(f"{where}{key}", "a table is needed")
        return value

    def _text(self, row: Mapping[str, object], key: str, where: str) -> str:
        value = row.get(key)
        if not isinstance(value, str) or not value.strip():
            raise self._problem(f"{where}{key}", "a non-empty text is needed")
        return value

    def _number(self, row: Mapping[str, object], key: str, where: str, *, at_least: float) -> float:
        value = row.get(key)
        if value is None:
            raise self._problem(f"{where}{key}", "missing")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._problem(f"{where}{key}", f"{value!r} is not a number")
        # Written so that a NaN fails too.
        if not at_least <= value < float("inf"):
            raise self._problem(f"{where}{key}", f"{value} must be a number from {at_least:g} on")
        return float(value)

    def _decimal(self, row: Mapping[str, object], key: str, where: str) -> Decimal:
        value = row.get(key)
        if not isinstance(value, str):
            # A TOML float has lost its digits before it is seen here.
            raise self._problem(f"{where}{key}", 'decimal text is needed, such as "0.25"')
        try:
            price = Decimal(value)
        except InvalidOperation:
            raise self._problem(f"{where}{key}", f"{value!r} is not a decimal number") from None
        if not price.is_finite() or price < 0:
            raise self._problem(f"{where}{key}", f"{value!r} is not a price from 0 on")
        return price

    def _problem(self, key: str, problem: str) -> FleetError:
        return FleetError(f"{self._path}: {key}: {problem}")


def _listed(names: frozenset[str]) -> str:
    return ", ".join(sorted(names))
