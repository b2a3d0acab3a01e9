"""Policies: the caller's named choices of how a model is found, read from TOML and hashed by content."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

from services.chassis.settings import StartError, decode, read_toml


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the task table."""

    primary: str
    fallback: str = ""


@dataclass(frozen=True, slots=True)
class PolicyRow:
    """A policy as a file describes it."""

    strategy: Literal["rule"]
    reference_model: str
    default_task: str
    tasks: dict[str, Route]
    # Whether a request that a provider's content filter refuses goes to the fallback; else the refusal is the answer.
    filtered_goes_on: bool = False

    def __post_init__(self) -> None:
        if self.default_task not in self.tasks:
            raise ValueError("default_task is none of its tasks")


@dataclass(frozen=True, slots=True)
class _File:
    policy: dict[str, PolicyRow]


@dataclass(frozen=True, slots=True)
class Policy:
    """A resolved policy. `content_hash` is SHA-256 (hex) of what it says, not of its name."""

    name: str
    row: PolicyRow
    content_hash: str


def load_policies(path: Path | None) -> dict[str, Policy]:
    """The shipped policies, and those of the operator's file in place of equal names. Raises StartError."""
    with resources.as_file(resources.files("services.router").joinpath("routes.toml")) as shipped:
        rows = _read(shipped)
    if path is not None:
        rows |= _read(path)
    return {name: Policy(name, row, _hash(row)) for name, row in rows.items()}


def _read(path: Path) -> dict[str, PolicyRow]:
    problems: list[str] = []
    file: _File = decode(_File, read_toml(path), str(path), problems)
    if problems:
        raise StartError("\n".join(problems))
    return dict(file.policy)


def _hash(row: PolicyRow) -> str:
    text = json.dumps(asdict(row), sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
