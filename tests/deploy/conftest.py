"""What the tests of the manifests look at: the base's own files always, what kustomize builds where kubectl is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tools import manifests
from tools.manifests import K8S, SERVICES, Object


@pytest.fixture(scope="session")
def base() -> list[Object]:
    """Everything in the base's own files."""
    return [thing for name in ("namespace", *SERVICES) for thing in manifests.read(K8S / "base" / f"{name}.yaml")]


@pytest.fixture(scope="session")
def local() -> Sequence[Object]:
    """What the overlay for a laptop comes to."""
    return _built("local")


@pytest.fixture(scope="session")
def production() -> Sequence[Object]:
    """What the overlay for production comes to."""
    return _built("production")


@pytest.fixture(scope="session", params=["base", "local", "production"])
def every(request: pytest.FixtureRequest) -> Sequence[Object]:
    """Each of the three in turn."""
    objects: Sequence[Object] = request.getfixturevalue(request.param)
    return objects


@pytest.fixture
def kubectl() -> None:
    """For tests that build something by themselves."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what kubectl must build where it is not; marked, so that pytest says so once per file."""
    if manifests.has_kubectl():
        return
    for item in items:
        if isinstance(item, pytest.Function) and _is_built(item):
            item.add_marker(pytest.mark.skip(reason=manifests.WITHOUT_KUBECTL))


def _is_built(item: pytest.Function) -> bool:
    variant = item.callspec.params.get("every") if hasattr(item, "callspec") else None
    return variant in ("local", "production") or not {"local", "production", "kubectl"}.isdisjoint(item.fixturenames)


def _built(overlay: str) -> Sequence[Object]:
    return manifests.build(K8S / "overlays" / overlay)
