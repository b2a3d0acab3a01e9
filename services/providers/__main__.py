"""python -m services.providers"""

from __future__ import annotations

from services.chassis import run
from services.providers.server import build
from services.providers.settings import load


def main() -> None:
    """Run the providers service."""
    run.main("providers", load, build)


if __name__ == "__main__":
    main()
