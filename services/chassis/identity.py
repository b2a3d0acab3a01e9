"""Who calls. Until callers have keys, the tenant is metadata that is believed only where that is safe."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from services.chassis.errors import Unauthenticated

TENANT_KEY = "omnisphere-tenant"
DEFAULT_TENANT = "default"
_TENANT = re.compile(r"[A-Za-z0-9_.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls; `tenant` is the wall between everybody's data."""

    tenant: str


@lru_cache(maxsize=4_096)
def identify(claimed: str, *, believed: bool) -> Caller:
    """The caller behind the tenant that the metadata claims; empty: the default tenant.

    `believed` is true on loopback, inside the mesh, and where the operator says so. A claim that is not believed is
    refused, not ignored: ignoring it would mix tenants.
    """
    if not claimed or claimed == DEFAULT_TENANT:
        return Caller(DEFAULT_TENANT)
    if not believed:
        raise Unauthenticated(problem="this deployment does not accept a tenant in metadata")
    if not _TENANT.fullmatch(claimed):
        raise Unauthenticated(problem="a tenant is 1 to 64 of [A-Za-z0-9_.-]")
    return Caller(claimed)
