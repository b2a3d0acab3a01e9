"""A prompt as numbers: hashed words and pairs of words, and what can be counted in its bytes. Pure.

Read on every decision, so it is written for speed: one regular expression and one table of bytes, everything else in
whole arrays. A long prompt is read at its head and its tail.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from zlib import crc32

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
# Raise it whenever a number below changes its meaning: artefacts of another version are refused.
VERSION: Final = 1
# Terms fall into 2**18 buckets.
BUCKET_BITS: Final = 18
_HEAD, _TAIL = 6_000, 2_000
# Letters in lower case, every digit as 0: numbers differ in length only.
_FOLDED = bytes(ord("0") if 48 <= code <= 57 else code + 32 if 65 <= code <= 90 else code for code in range(256))
_TERM = re.compile(rb"[a-z\x80-\xff]+|0+|[$\\^={}<>+*/%]")
_OPTION = re.compile(rb"\n *\(?[A-J][.):] ")
# Two odd multipliers (Knuth's, and one of Steele and Vigna) mix the hashes of neighbours into that of their pair.
_FIRST, _SECOND = np.uint32(2654435761), np.uint32(2246822519)
_SHIFT = np.uint32(32 - BUCKET_BITS)

_CLASSES: dict[str, bytes] = {
    "digits": b"0123456789",
    "capitals": bytes(range(65, 91)),
    "lines": b"\n",
    "spaces": b" \t",
    "stops": b".!",
    "questions": b"?",
    "commas": b",;:",
    "quotes": b"\"'`",
    "brackets": b"()[]{}",
    "operators": b"+-*/=<>^%|&~",
    "latex": b"\\$",
    "blanks": b"_",
    "foreign": bytes(range(128, 256)),
}
NAMES: Final = (
    *_CLASSES,
    "tokens",
    "bytes",
    "terms",
    "different",
    "term_length",
    "options",
    "option_length",
    "last_line",
    *(f"{name}_share" for name in ("digits", "capitals", "operators", "latex", "foreign", "brackets")),
)
_SHARES = [list(_CLASSES).index(name.removesuffix("_share")) for name in NAMES if name.endswith("_share")]


def _membership() -> Floats:
    table = np.zeros((256, len(_CLASSES)))
    for column, members in enumerate(_CLASSES.values()):
        table[list(members), column] = 1.0
    return table


_MEMBERSHIP: Final = _membership()


@dataclass(frozen=True, slots=True)
class Reading:
    """One prompt, read. `buckets` [n] rising, each once, with its `weights` [n] = 1 + ln(count); `cheap` [NAMES]."""

    buckets: npt.NDArray[np.uint32]
    weights: npt.NDArray[np.float32]
    cheap: Floats


def read(prompt: str, in_tokens: int) -> Reading:
    """The numbers of a prompt. `in_tokens`: its length in tokens, counted or estimated."""
    data = prompt.encode("utf-8", "replace")
    size = len(data)
    if size > _HEAD + _TAIL:
        data = data[:_HEAD] + b"\n" + data[-_TAIL:]
    terms = _TERM.findall(data.translate(_FOLDED))
    buckets, counts = _buckets(terms)
    return Reading(
        buckets, 1 + np.log(counts, dtype=np.float32), _cheap(data, size, in_tokens, len(terms), len(buckets))
    )


def _buckets(terms: list[bytes]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    hashes = np.fromiter(map(crc32, terms), np.uint32, len(terms))
    mixed = np.empty(max(0, 2 * len(terms) - 1), np.uint32)
    np.multiply(hashes, _FIRST, out=mixed[: len(terms)])
    if len(terms) > 1:
        mixed[len(terms) :] = (hashes[:-1] * _SECOND + hashes[1:]) * _FIRST
    mixed >>= _SHIFT
    mixed.sort()
    if not len(mixed):
        return mixed, np.zeros(0, np.int64)
    differs = np.ones(len(mixed) + 1, bool)  # from the one before; the end counts as one that does
    np.not_equal(mixed[1:], mixed[:-1], out=differs[1:-1])
    starts = differs.nonzero()[0]
    return mixed[starts[:-1]], starts[1:] - starts[:-1]


def _cheap(data: bytes, size: int, in_tokens: int, terms: int, different: int) -> Floats:
    counts = np.bincount(np.frombuffer(data, np.uint8), minlength=256) @ _MEMBERSHIP
    options = [match.start() for match in _OPTION.finditer(data)]
    answers = (len(data) - options[0]) / len(options) if options else 0.0
    last = len(data) - data.rfind(b"\n") - 1
    most = max(1, len(data))
    logs = np.log1p(
        (*counts, in_tokens, size, terms, different, len(data) / max(1, terms), len(options), answers, last)
    )
    return np.concatenate((logs, counts[_SHARES] / most))
