"""Policies: the caller's named choices of how a model is found, read from TOML and hashed by content."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Literal

from services.chassis.errors import InvalidRequest
from services.chassis.settings import StartError, decode, place_of, read_toml

StrategyName = Literal["auto", "rule", "semantic", "cost_aware", "cascade", "fixed", "split"]
_BY_TABLE = ("auto", "rule", "semantic")
_MOST_INLINE_BYTES = 16 * 1024
# The name of the policy of one request.
INLINE = "inline"
_TASK = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the task table."""

    primary: str
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """A policy as a file describes it. What a strategy has no use for is not looked at."""

    strategy: StrategyName
    reference_model: str
    default_task: str = "simple_qa"
    # auto, rule and semantic: a row per task type.
    tasks: dict[str, Route] = field(default_factory=dict)
    # The only models that may be asked; none: all. For `fixed` the models in their order, for `cascade` the ladder.
    models: tuple[str, ...] = ()
    # cost_aware: the cheapest model of at least this predicted quality; cascade: the first answer that is good with at
    # least this probability. 0: quality is weighed against cost.
    threshold: float = 0.0
    # cost_aware and cascade: what a dollar is worth in quality; 0: so much that the mean quality predicted for recent
    # requests of a tenant is that of the reference model, less `margin`.
    quality_per_usd: float = 0.0
    margin: float = 0.0
    # How many further models are asked after errors.
    fallbacks: int = 1
    # cascade: who judges the answers, and with which model where a model judges.
    judge: Literal["learned", "model", "checks"] = "learned"
    judge_model: str = ""
    # split: policies and their weights.
    arms: dict[str, float] = field(default_factory=dict)
    # What a request may cost where it does not say it itself; 0: no limit.
    max_cost_usd: float = 0.0
    # Whether a request that a provider's content filter refuses goes to the fallback; else the refusal is the answer.
    filtered_goes_on: bool = False

    def __post_init__(self) -> None:
        if self.strategy in _BY_TABLE and self.default_task not in self.tasks:
            raise ValueError("default_task is none of its tasks")
        if not all(_TASK.fullmatch(name) for name in (self.default_task, *self.tasks)):
            raise ValueError("a task is named by 1 to 64 of [A-Za-z0-9_.:/-]")
        if self.strategy == "split" and (not self.arms or not all(0 < w < float("inf") for w in self.arms.values())):
            raise ValueError("a split needs arms, with weights above 0")
        if self.strategy == "fixed" and not self.models:
            raise ValueError("fixed needs models")
        if len(set(self.models)) < len(self.models):
            raise ValueError("models must be different ones")
        if self.strategy == "cascade" and self.judge == "model" and not self.judge_model:
            raise ValueError("a judge that is a model needs judge_model")
        if not 0 <= self.threshold <= 1 or not 0 <= self.margin <= 1:
            raise ValueError("threshold and margin must be from 0 to 1")
        if not 0 <= self.quality_per_usd < float("inf") or not 0 <= self.max_cost_usd < float("inf"):
            raise ValueError("quality_per_usd and max_cost_usd must be 0 or more")
        if not 0 <= self.fallbacks <= 8:
            raise ValueError("fallbacks must be from 0 to 8")

    def names(self) -> set[str]:
        """Every model that it names."""
        named = {self.reference_model, self.judge_model, *self.models}
        named |= {name for route in self.tasks.values() for name in (route.primary, route.fallback)}
        return named - {""}


@dataclass(frozen=True, slots=True)
class _File:
    policy: dict[str, PolicyRow]


@dataclass(frozen=True, slots=True)
class Policy:
    """A resolved policy. `content_hash` is SHA-256 (hex) of what it says, not of its name."""

    name: str
    row: PolicyRow
    content_hash: str


@dataclass(frozen=True, slots=True)
class Drawn:
    """A policy that is no split; `split` names the one it was drawn from, where it was, with its probability."""

    policy: Policy
    split: str = ""
    propensity: float = 1.0


def load_policies(path: Path | None) -> dict[str, Policy]:
    """The shipped policies, and those of the operator's file in place of equal names. Raises StartError."""
    with resources.as_file(resources.files("services.router").joinpath("routes.toml")) as shipped:
        rows = _read(shipped)
    if path is not None:
        rows |= _read(path)
    problems = [
        f"{path or 'routes.toml'}: policy.{name}.arms names {arm!r}, which is no policy, or a split"
        for name, row in rows.items()
        for arm in row.arms
        if arm not in rows or rows[arm].strategy == "split"
    ]
    if problems:
        raise StartError("\n".join(problems))
    return {name: Policy(name, row, _hash(row)) for name, row in rows.items()}


def inline_policy(text: str) -> Policy:
    """The policy of one request. Raises InvalidRequest."""
    field_name = "options.inline_policy"
    if len(text.encode()) > _MOST_INLINE_BYTES:
        raise InvalidRequest(field=field_name, problem=f"is longer than {_MOST_INLINE_BYTES} bytes")
    problems: list[str] = []
    try:
        row: PolicyRow = decode(PolicyRow, tomllib.loads(text), "", problems)
    except (ValueError, RecursionError) as failure:  # also of numbers and brackets beyond all measure
        raise InvalidRequest(field=field_name, problem=f"is not TOML{place_of(failure)}") from None
    if problems:
        raise InvalidRequest(field=field_name, problem=problems[0].lstrip(".: ")[:200])
    if row.strategy == "split":
        raise InvalidRequest(field=field_name, problem="a split cannot be inline")
    return Policy(INLINE, row, _hash(row))


def drawn(policy: Policy, policies: Mapping[str, Policy], place: float) -> Drawn:
    """The arm of a split in which `place`, from 0 up to 1, falls."""
    total = sum(policy.row.arms.values())
    at = 0.0
    for arm, weight in policy.row.arms.items():
        at += weight / total
        if place < at:
            return Drawn(policies[arm], policy.name, weight / total)
    arm, weight = next(reversed(policy.row.arms.items()))
    return Drawn(policies[arm], policy.name, weight / total)


def wrong_models(policies: Iterable[Policy], answers: Mapping[str, bool]) -> list[str]:
    """A line per policy and mistake: unknown names, models that answer no conversation. `answers`: by name."""
    problems = []
    for policy in policies:
        names = sorted(policy.row.names())
        for what, wrong in (
            ("unknown models", [name for name in names if name not in answers]),
            ("models that answer no conversation", [name for name in names if not answers.get(name, True)]),
        ):
            if wrong:
                problems.append(f"policy.{policy.name} names {what}: {', '.join(wrong)}")
    return problems


def _read(path: Path) -> dict[str, PolicyRow]:
    problems: list[str] = []
    file: _File = decode(_File, read_toml(path), str(path), problems)
    if problems:
        raise StartError("\n".join(problems))
    return dict(file.policy)


def _hash(row: PolicyRow) -> str:
    text = json.dumps(asdict(row), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
