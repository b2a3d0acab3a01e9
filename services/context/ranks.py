"""The rank files of this package as tiktoken encodings, without any network.

tiktoken fetches its ranks from the internet at first use; a pod without egress, or a laptop in a train, would then
fail. The files under ranks/ hold the same ranks: 4 bytes big-endian count n, then an xz stream of n bytes (the length
of each token) and the n tokens back to back. A token's rank is its position.
"""

from __future__ import annotations

import base64
import hashlib
import lzma
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import resources
from threading import Lock

import tiktoken

CL100K, O200K = "cl100k_base", "o200k_base"


class RanksDamaged(Exception):
    """A rank file of the package is not what it should be. The installation is broken."""


class Encodings:
    """The encodings, each loaded at its first use and then kept. Threads may share it.

    A load takes 0.1 to 0.3 s, so it must not happen on the event loop.
    """

    def __init__(self) -> None:
        self._loading = Lock()
        self._loaded: dict[str, tiktoken.Encoding] = {}

    def is_loaded(self, name: str) -> bool:
        """Whether `get` returns at once."""
        return name in self._loaded

    def get(self, name: str) -> tiktoken.Encoding:
        """The encoding of this name; whoever asks while it loads waits for that load."""
        found = self._loaded.get(name)
        if found is None:
            with self._loading:
                found = self._loaded.get(name) or encoding(name)
                self._loaded[name] = found
        return found


def encoding(name: str) -> tiktoken.Encoding:
    """A new encoding. It knows no special tokens: in a conversation `<|endoftext|>` is plain text."""
    return tiktoken.Encoding(name, pat_str=_SOURCES[name].pattern, mergeable_ranks=unpacked(name), special_tokens={})


def unpacked(name: str) -> dict[bytes, int]:
    """Token to rank. Raises RanksDamaged unless the original text can be rebuilt from them."""
    file = resources.files("services.context").joinpath("ranks", f"{name}.ranks.xz")
    try:
        packed = file.read_bytes()
        content = lzma.decompress(packed[4:])
    except (OSError, lzma.LZMAError) as failure:
        raise RanksDamaged(name) from failure
    count = int.from_bytes(packed[:4], "big")
    tokens, at = [], count
    for length in content[:count]:
        tokens.append(content[at : at + length])
        at += length
    if sha256_of(tokens) != _SOURCES[name].sha256:
        raise RanksDamaged(name)
    return {token: rank for rank, token in enumerate(tokens)}


def sha256_of(tokens: Iterable[bytes]) -> str:
    """The hash of the .tiktoken text with these tokens: a line of base64, space and rank for each."""
    text = b"".join(b"%s %d\n" % (base64.b64encode(token), rank) for rank, token in enumerate(tokens))
    return hashlib.sha256(text).hexdigest()


@dataclass(frozen=True, slots=True)
class _Source:
    """What tells an encoding from others beside its ranks: how text is split first, and the ranks' hash."""

    pattern: str
    sha256: str


# Patterns as in tiktoken_ext/openai_public.py of tiktoken 0.14 (MIT, see ranks/NOTICE); a test compares them.
_SOURCES = {
    CL100K: _Source(
        r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$"
        r"|\s*[\r\n]|\s+(?!\S)|\s",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
    O200K: _Source(
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
}
