"""How requests bring their key. It never stands in a URL."""

from __future__ import annotations

from collections.abc import Mapping


def bearer(key: str, quirks: frozenset[str]) -> Mapping[str, str]:
    """A bearer token, or Azure's header where the quirk `api_key_header` says so; nothing without a key."""
    if not key:
        return {}
    return {"api-key": key} if "api_key_header" in quirks else {"authorization": f"Bearer {key}"}


def google(key: str, quirks: frozenset[str]) -> Mapping[str, str]:
    """Google's header, or a bearer token where the quirk `bearer_key` says so; nothing without a key."""
    if not key:
        return {}
    return {"authorization": f"Bearer {key}"} if "bearer_key" in quirks else {"x-goog-api-key": key}
