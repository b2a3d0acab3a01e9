"""The mesh under test, in both topologies. After every test that calls models the books must agree."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.mesh.harness import Mesh, as_four_processes, in_one_process

TOPOLOGIES = {"one_process": in_one_process, "four_processes": as_four_processes}


@pytest.fixture(scope="session", params=list(TOPOLOGIES))
async def shared_mesh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """One mesh of each topology for all tests, so tests ask questions of their own."""
    async with TOPOLOGIES[request.param](tmp_path_factory.mktemp(request.param)) as mesh:
        yield mesh


@pytest.fixture
async def mesh(shared_mesh: Mesh) -> AsyncIterator[Mesh]:
    """Each test that takes it runs twice: in one process, and through four."""
    yield shared_mesh
    await shared_mesh.no_faults()
    assert await shared_mesh.book_differences() == []


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A directory for a mesh of the test's own."""
    return tmp_path
