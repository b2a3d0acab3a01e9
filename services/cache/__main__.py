"""The process of the cache service."""

from __future__ import annotations

from services.cache.server import build
from services.cache.settings import load
from services.chassis import run


def main() -> None:
    """Run the cache service until it is told to stop."""
    run.main("cache", load, build)


if __name__ == "__main__":
    main()
