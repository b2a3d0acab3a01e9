"""A vendor's own options, merged into a request as they are."""

from __future__ import annotations

import json
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from services.chassis.errors import InvalidRequest
from services.providers.adapters.json_text import Json
from services.providers.adapters.lost import Lost

_FIELD = "conversation.vendor_options_json"
# What callers of OpenAI's formats say whichever model answers, and others refuse to read: of Chat Completions, then of
# Responses.
VERBOSITY = "verbosity"
CHAT_OPTIONS = ("frequency_penalty", "presence_penalty", VERBOSITY)
SUMMARY = "reasoning.summary"
HINTS = (SUMMARY, "text.verbosity")
# For the formats of others.
FOREIGN = (*CHAT_OPTIONS, *HINTS)


def with_vendor_options(body: Json, text: str, carried: AbstractSet[str]) -> Json:
    """The request with the options. Raises InvalidRequest where they name a field that the contract speaks for.

    `carried` are these fields, set or not; "a.b" is b inside the object a, which the contract speaks for in part: the
    rest of a is merged with it.
    """
    if not text:
        return body
    options: Json = json.loads(text)
    merged = dict(body)
    for name, value in sorted(options.items()):
        ours = body.get(name)
        if not isinstance(value, dict) or not any(field.startswith(f"{name}.") for field in carried):
            _refuse({name}, set(body) | carried)
            merged[name] = value
            continue
        given = ours if isinstance(ours, dict) else {}
        _refuse({f"{name}.{inner}" for inner in value}, carried | {f"{name}.{inner}" for inner in given})
        merged[name] = given | value
    return merged


def without(names: Sequence[str], text: str, lost: Lost) -> str:
    """The options for a format that cannot carry some of them: these are left out, and said. "a.b" is b inside a."""
    if not any(name.rpartition(".")[2] in text for name in names):
        return text
    options: Json = json.loads(text)
    found = False
    for name in names:
        outer, _, inner = name.rpartition(".")
        holder = options.get(outer) if outer else options
        if isinstance(holder, dict) and holder.pop(inner, None) is not None:
            found = True
            lost.feature(f"{_FIELD}.{name}")
            if outer and not holder:
                del options[outer]
    return text if not found else json.dumps(options) if options else ""


def _refuse(named: AbstractSet[str], carried: AbstractSet[str]) -> None:
    for name in sorted(named & carried):
        raise InvalidRequest(field=_FIELD, problem=f"names {name[:64]}, which the contract carries itself")
