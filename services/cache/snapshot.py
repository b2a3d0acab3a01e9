"""All vectors of a cache in one file, so that a restart need not make its indexes anew.

    magic, version                        8 + 4 bytes
    length, header                        JSON: model_hash, mark, and of each scope what follows for it
    per scope: fingerprints               32 bytes each, in the order of the numbers
               numbers                    64-bit
               vectors or lists           16-bit floats [n, dimension], or the index as FAISS writes it
    SHA-256 of all before                 32 bytes

Written beside its place and renamed, so that there is an old file, or a new one, and never a part of one. A file that
is damaged, or of another version, is set aside as *.broken-<time>.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from services.cache.fingerprint import FORMAT
from services.cache.index import KeptIndex

_MAGIC = b"omni-vec"
_VERSION = 1
_FRONT = struct.Struct("<8sIQ")
_FINGERPRINT, _NUMBER, _DIGEST = 32, 8, 32
_CHUNK = 1 << 20


class SnapshotUnusable(Exception):
    """The file is damaged, or of another version. The text says which."""


@dataclass(frozen=True, slots=True)
class ScopeVectors:
    """The vectors of one scope. `index` is one of lists, trained on `trained_on` vectors, or else `vectors` are there.

    `fingerprints` is one bytes object, 32 for each of `numbers`.
    """

    scope: bytes
    numbers: npt.NDArray[np.int64]
    fingerprints: bytes
    vectors: npt.NDArray[np.float16] | None = None
    index: KeptIndex | None = None
    trained_on: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`mark`: the newest entry in storage whose vector is here, by its number there."""

    model_hash: str
    dimension: int
    mark: int
    scopes: list[ScopeVectors]


def save(path: Path, snapshot: Snapshot) -> None:
    """Write the file in one go. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f"{path.name}.new")
    rows = [
        {"scope": one.scope.hex(), "count": len(one.numbers), "trained_on": one.trained_on} for one in snapshot.scopes
    ]
    header = {"format": FORMAT, "model_hash": snapshot.model_hash, "dimension": snapshot.dimension}
    said = json.dumps({**header, "mark": snapshot.mark, "scopes": rows}).encode()
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        into = _Hashed(file)
        into.write(_FRONT.pack(_MAGIC, _VERSION, len(said)) + said)
        for one in snapshot.scopes:
            into.write(one.fingerprints)
            into.write(one.numbers.astype("<i8").tobytes())
            if one.vectors is not None:
                into.write(one.vectors.astype("<f2").tobytes())
            if one.index is not None:
                one.index.write(into.write)
        file.write(into.digest())
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def read(path: Path) -> Snapshot | None:
    """What the file holds; None where there is none. Raises SnapshotUnusable, OSError."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return None
    with file:
        _check(file)
        try:
            header: Any = json.loads(file.read(_FRONT.unpack(file.read(_FRONT.size))[2]))
            if header["format"] != FORMAT:
                raise SnapshotUnusable(f"format {header['format']}, not {FORMAT}")
            dimension = int(header["dimension"])
            scopes = list(_scopes(file, header["scopes"], dimension))
            return Snapshot(str(header["model_hash"]), dimension, int(header["mark"]), scopes)
        except (KeyError, TypeError, ValueError, RuntimeError) as failure:
            raise SnapshotUnusable("its parts do not fit together") from failure


def _check(file: IO[bytes]) -> None:
    """Whole, and of this version? Leaves the file at its header."""
    front = file.read(_FRONT.size)
    if len(front) < _FRONT.size or not front.startswith(_MAGIC):
        raise SnapshotUnusable("is no snapshot")
    version = _FRONT.unpack(front)[1]
    if version != _VERSION:
        raise SnapshotUnusable(f"version {version}, not {_VERSION}")
    left = os.fstat(file.fileno()).st_size - _FRONT.size - _DIGEST
    digest = hashlib.sha256(front)
    while left > 0 and (piece := file.read(min(_CHUNK, left))):
        digest.update(piece)
        left -= len(piece)
    if left or file.read() != digest.digest():
        raise SnapshotUnusable("its checksum is another")
    file.seek(0)


def _scopes(file: IO[bytes], rows: list[dict[str, Any]], dimension: int) -> Iterator[ScopeVectors]:
    for row in rows:
        count = int(row["count"])
        scope, fingerprints = bytes.fromhex(row["scope"]), file.read(_FINGERPRINT * count)
        numbers = np.frombuffer(file.read(_NUMBER * count), "<i8").astype(np.int64)
        if row["trained_on"]:
            from services.cache.faiss_index import ListsIndex

            index = ListsIndex.read(file.read)
            yield ScopeVectors(scope, numbers, fingerprints, index=index, trained_on=int(row["trained_on"]))
        else:
            vectors = np.frombuffer(file.read(2 * dimension * count), "<f2").reshape(count, dimension)
            yield ScopeVectors(scope, numbers, fingerprints, vectors=vectors)


class _Hashed:
    """Writes on, and adds up a digest of what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._sha = hashlib.sha256()

    def write(self, piece: bytes) -> None:
        self._sha.update(piece)
        self._file.write(piece)

    def digest(self) -> bytes:
        return self._sha.digest()
