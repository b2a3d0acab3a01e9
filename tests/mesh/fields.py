"""Which fields of responses the tests of the mesh have seen set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

SEEN: set[str] = set()


def note(message: Message) -> None:
    """Remember every field that is set in a response, at any depth."""
    for field, value in message.ListFields():
        SEEN.add(field.full_name)
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for inner in value if field.is_repeated else (value,):
                note(inner)


def reachable(descriptor: Descriptor, walked: set[str]) -> Iterator[str]:
    """Every field of our own contracts that a response of this type can hold."""
    if descriptor.full_name in walked or not descriptor.full_name.startswith("omnisphere."):
        return
    walked.add(descriptor.full_name)
    fields: Any = descriptor.fields
    for field in fields:
        yield field.full_name
        if field.message_type is not None:
            yield from reachable(field.message_type, walked)
