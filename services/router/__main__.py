"""python -m services.router"""

from __future__ import annotations

from services.chassis import run
from services.router.server import build
from services.router.settings import load


def main() -> None:
    """Run the router."""
    run.main("router", load, build)


if __name__ == "__main__":
    main()
