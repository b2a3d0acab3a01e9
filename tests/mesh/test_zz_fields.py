"""No field of a response exists without code that sets it: the tests of the mesh have seen every one.

Runs last, and only together with all other tests of the mesh.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from omnisphere.cache.v1 import cache_service_pb2
from omnisphere.context.v1 import context_service_pb2
from omnisphere.providers.v1 import providers_service_pb2
from omnisphere.router.v1 import admin_service_pb2, memory_service_pb2, router_service_pb2
from tests.mesh import fields

HERE = Path(__file__).parent
# Set by tests that are skipped where there is no redis-server.
NEEDS_REDIS = {"omnisphere.cache.v1.GetStatsResponse.shared"}
CONTRACTS: tuple[ModuleType, ...] = (
    router_service_pb2,
    admin_service_pb2,
    memory_service_pb2,
    cache_service_pb2,
    context_service_pb2,
    providers_service_pb2,
)


def _response_fields() -> Iterator[str]:
    walked: set[str] = set()
    for contract in CONTRACTS:
        for service in contract.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                yield from fields.reachable(method.output_type, walked)


def test_every_response_field_was_seen(request: pytest.FixtureRequest) -> None:
    run = {Path(item.fspath).name for item in request.session.items}
    if not {path.name for path in HERE.glob("test_*.py")} <= run:
        pytest.skip("needs all tests of the mesh, and all of them green")
    every = set(_response_fields())
    if shutil.which("redis-server") is None:
        every -= NEEDS_REDIS
    assert sorted(every - fields.SEEN) == [], "set by no code that the mesh tests reach"
