"""The reasons in the contract and the classes in the code are the same set, with the same codes and keys."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from omnisphere.errors.v1 import error_reason_pb2
from services.chassis.errors import BY_REASON, DOMAIN

PROTO = Path(__file__).parents[2] / "protos" / "omnisphere" / "errors" / "v1" / "error_reason.proto"
_VALUE = re.compile(r"((?: *//[^\n]*\n)+) *ERROR_REASON_(\w+) = \d+;")


@dataclass(frozen=True)
class Documented:
    """What the comment above a value says; examples stand in paragraphs of their own."""

    code: str
    examples: tuple[dict[str, Any], ...]

    @property
    def keys(self) -> set[str]:
        return {key for example in self.examples for key in example["metadata"]}


def documented() -> dict[str, Documented]:
    found = {}
    for comment, name in _VALUE.findall(PROTO.read_text(encoding="utf-8")):
        if name == "UNSPECIFIED":
            continue
        text = "\n".join(line.strip().removeprefix("//").strip() for line in comment.splitlines())
        examples = [json.loads(paragraph) for paragraph in text.split("\n\n") if paragraph.startswith("{")]
        found[name] = Documented(text.partition(".")[0].split(",")[0], tuple(examples))
    return found


DOCUMENTED = documented()
every = pytest.mark.parametrize("reason", sorted(BY_REASON))


def test_the_enum_the_classes_and_the_comments_name_the_same_reasons():
    enum = {name.removeprefix("ERROR_REASON_") for name, _ in error_reason_pb2.ErrorReason.items()} - {"UNSPECIFIED"}
    assert enum == set(BY_REASON) == set(DOCUMENTED)


@every
def test_the_code_is_the_documented_one(reason):
    assert BY_REASON[reason].code.name == DOCUMENTED[reason].code


@every
def test_each_example_is_an_error_info_of_this_reason(reason):
    assert DOCUMENTED[reason].examples
    for example in DOCUMENTED[reason].examples:
        assert (example["reason"], example["domain"]) == (reason, DOMAIN)
        assert all(isinstance(value, str) for value in example["metadata"].values())


@every
def test_the_examples_show_exactly_the_keys_that_the_error_sets(reason):
    assert DOCUMENTED[reason].keys == BY_REASON[reason].keys


@every
def test_the_text_names_no_reason_of_its_own_and_is_one_line(reason):
    assert re.fullmatch(r"[a-z][^\n.:]*", BY_REASON[reason].text)
