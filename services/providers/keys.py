"""Keys of providers: found in the environment by name, told apart by that name, never shown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from services.chassis.settings import Secret

# OPENAI_API_KEY, and further ones of the same account or another: OPENAI_API_KEY_2, OPENAI_API_KEY_3.
KEY_SUFFIX = "_API_KEY"
_NUMBERED = re.compile(r"(.+_API_KEY)(?:_(\d{1,3}))?")
_PRINTABLE = re.compile(r"[!-~]+")


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and the variable that it came from: its name in books, metrics and logs."""

    name: str
    secret: Secret


def found_in(environ: Mapping[str, str]) -> dict[str, Secret]:
    """All keys, by variable."""
    named = {name: value.strip() for name, value in environ.items() if _NUMBERED.fullmatch(name)}
    return {name: Secret(value) for name, value in named.items() if value}


def keys_of(variable: str, found: Mapping[str, Secret]) -> tuple[Key, ...]:
    """The keys under a variable and its numbered ones, in their order; without those that cannot be any."""
    numbers = [
        (int(match.group(2) or 1), name)
        for name in found
        if (match := _NUMBERED.fullmatch(name)) and match.group(1) == variable
    ]
    return tuple(Key(name, found[name]) for _, name in sorted(numbers) if not looks_wrong(found[name]))


def looks_wrong(secret: Secret) -> bool:
    """Whether it cannot stand in a header, or still has the quotes of the file that it was copied from."""
    value = secret.reveal()
    return not _PRINTABLE.fullmatch(value) or value[0] in "\"'<" or value[-1] in "\"'>"
