"""A prompt as numbers: hashed words and pairs of words, and what can be counted in its bytes. Pure.

Read for every answer, so it is written for speed: tables of bytes, and few calls of numpy. A long prompt is read at its
head and its tail.
"""

from __future__ import annotations

import math
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
# A term is a run of letters, a run of digits, or one of these signs.
_SIGNS = rb"$\^={}<>+*/%"
_LETTER, _DIGIT, _SIGN = 1, 2, 3
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


def _kind(code: int) -> int:
    if chr(code).isdecimal():
        return _DIGIT
    if chr(code).isascii() and not chr(code).isalpha():
        return _SIGN if code in _SIGNS else 0
    return _LETTER


_KINDS: Final = bytes(map(_kind, range(256)))
# Letters in lower case, every digit as 0, as numbers differ in length only; a blank for what is in no term.
_FOLDED: Final = bytes(
    (32, ord(chr(code).lower()) if code < 128 else code, 48, code)[_KINDS[code]] for code in range(256)
)
# By the kinds of two neighbours, first * 4 + second: whether they stand in terms of their own.
_APART: Final = np.array([bool(one and two and (one != two or one == _SIGN)) for one in range(4) for two in range(4)])


def _membership() -> Floats:
    table = np.zeros((256, len(_CLASSES)))
    for column, members in enumerate(_CLASSES.values()):
        table[list(members), column] = 1.0
    return table


_MEMBERSHIP: Final = _membership()


@dataclass(frozen=True, slots=True)
class Reading:
    """One prompt, read. `buckets` [n] rising, each once, with its `weights` [n] = 1 + ln(count); `cheap` [NAMES].

    `options`: how many it lists.
    """

    buckets: npt.NDArray[np.uint32]
    weights: npt.NDArray[np.float32]
    cheap: Floats
    options: int


def read(prompt: str, in_tokens: int) -> Reading:
    """The numbers of a prompt. `in_tokens`: its length in tokens, counted or estimated."""
    data = prompt.encode("utf-8", "replace")
    size = len(data)
    if size > _HEAD + _TAIL:
        data = data[:_HEAD] + b"\n" + data[-_TAIL:]
    found = terms(data)
    buckets, counts = _buckets(found)
    options = [match.start() for match in _OPTION.finditer(data)]
    cheap = _cheap(data, options, (in_tokens, size, len(found), len(buckets)))
    return Reading(buckets, 1 + np.log(counts, dtype=np.float32), cheap, len(options))


def terms(data: bytes) -> list[bytes]:
    """The terms of a prompt, in their order. Most stand between blanks; where two touch, they are cut apart first."""
    folded, kinds = data.translate(_FOLDED), np.frombuffer(data.translate(_KINDS), np.uint8)
    cuts = _APART.take(kinds[:-1] * 4 + kinds[1:]).nonzero()[0].tolist()
    if cuts:
        ends = [cut + 1 for cut in cuts]
        folded = b" ".join([folded[begin:end] for begin, end in zip([0, *ends], [*ends, None], strict=True)])
    return folded.split()


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


def _cheap(data: bytes, options: list[int], counted: tuple[int, int, int, int]) -> Floats:
    """`options`: where each begins; `counted`: tokens, bytes, terms, and how many of these differ."""
    found = np.bincount(np.frombuffer(data, np.uint8), minlength=256) @ _MEMBERSHIP
    classes: list[float] = found.tolist()
    answers = (len(data) - options[0]) / len(options) if options else 0.0
    last = len(data) - data.rfind(b"\n") - 1
    most = max(1, len(data))
    numbers = (*classes, *counted, len(data) / max(1, counted[2]), len(options), answers, last)
    return np.array([*map(math.log1p, numbers), *[classes[share] / most for share in _SHARES]])
