"""The context service as a process: `python -m services.context`."""

from __future__ import annotations

from services.chassis import run
from services.context.server import build
from services.context.settings import load


def main() -> None:
    """Run until told to stop."""
    run.main("context", load, build)


if __name__ == "__main__":
    main()
