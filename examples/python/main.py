"""A client of the omnisphere router in Python: unary, stream, cancel, deadline, and errors that a program can read."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from omnisphere_client import Client, DeadlineExceeded, NotFound, OmnisphereError, RateLimited

TARGET = os.environ.get("OMNISPHERE_ROUTER", "127.0.0.1:50051")
BUSY_MODEL = os.environ.get("OMNISPHERE_BUSY_MODEL", "")


def unary(client: Client) -> str:
    answer = client.complete("Translate 'cheese' into French, in Python.")
    return f"{answer.model} for {answer.cost}: {answer.text[:30]}..."


def stream(client: Client) -> str:
    with client.stream("Tell me about rivers, in Python.") as answer:
        pieces = sum(1 for _ in answer.texts())
    return f"{pieces} pieces, then the end: {answer.completion.cost}"


def cancel(client: Client) -> str:
    with client.stream("Talk until I leave, in Python.") as answer:
        next(answer)  # leaving the block ends the call to the model, and nothing more is billed
    try:
        next(answer)
    except OmnisphereError as error:
        return f"left after the first piece: {error.reason}"
    raise AssertionError("the stream goes on")


def deadline(client: Client) -> str:
    try:
        client.complete("Answer me at once, in Python.", timeout=0.03)
    except DeadlineExceeded as error:
        return f"30 ms were not enough: {error.reason}"
    raise AssertionError("it was in time")


def rich_error(client: Client) -> str:
    try:
        client.complete("Hello", model="gpt-99")
    except NotFound as error:
        return f"{error.code.name} {error.reason}: {len(error.metadata['known'].split(','))} others are known"
    raise AssertionError("gpt-99 answered")


def busy(client: Client) -> str:
    """Needs a model whose provider limits the rate just now; whoever runs the examples can name one."""
    if not BUSY_MODEL:
        return "skipped: OMNISPHERE_BUSY_MODEL names no model"
    try:
        client.complete("Hurry, in Python!", model=BUSY_MODEL)
    except RateLimited as error:
        return f"{error.code.name} {error.reason}: again in {error.retry_after:g}s"
    raise AssertionError(f"{BUSY_MODEL} is not busy")


CASES: dict[str, Callable[[Client], str]] = {
    "unary": unary,
    "stream": stream,
    "cancel": cancel,
    "deadline": deadline,
    "error": rich_error,
    "busy": busy,
}


def main() -> int:
    """Show each case in a line; how many did not behave."""
    failed = 0
    with Client(TARGET, timeout=60) as client:
        for name, show in CASES.items():
            try:
                print(f"ok   {name:<9}{show(client)}")
            except (OmnisphereError, AssertionError) as error:
                failed += 1
                print(f"FAIL {name:<9}{error}")
    return failed


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
