"""FAISS behind VectorIndex: flat for thousands of vectors, inverted lists of 8-bit vectors beyond.

The only file that imports faiss. HNSW is not used: it cannot remove. The inverted lists keep their own numbers in a
hash table, so that a removal does not search for its vector.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
from collections.abc import Callable

import faiss
import numpy as np

from services.cache.index import Neighbour, Numbers
from services.embedding.embedder import Vector

# Lists that a query looks through; with the list counts below it finds 99 of 100 neighbours at cosine 0.9 and above.
_PROBES = 8
_MOST_LISTS = 2_048
# By how much the range of a number is wider than what was trained on.
_ROOM = 0.25
# What k-means is trained on, per list.
_TRAINED_PER_LIST = 64
_FIRST_ROOM = 16
_M_MMAP_THRESHOLD, _LARGE_BYTES = -3, 128 * 1024


def sample_of(numbers: Numbers) -> Numbers:
    """Of which vectors lists for all of these are trained."""
    return np.random.default_rng(0).permutation(numbers)[: _lists_for(len(numbers)) * _TRAINED_PER_LIST]


def _lists_for(count: int) -> int:
    return max(1, min(_MOST_LISTS, int(2 * math.sqrt(count))))


def _vectors(index: faiss.Index, numbers: Numbers) -> Vector:
    if not len(numbers):
        return np.zeros((0, index.d), np.float32)
    found: Vector = index.reconstruct_batch(numbers)
    return found


class FlatIndex:
    """Exact, one pass over all vectors."""

    def __init__(self, dimension: int) -> None:
        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))
        self._search = _Search(self._index)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, number: int, vector: Vector) -> None:
        self.add_all(np.array([number], np.int64), vector[None])

    def add_all(self, numbers: Numbers, vectors: Vector) -> None:
        """Take up many at once."""
        self._index.add_with_ids(np.ascontiguousarray(vectors, np.float32), numbers)

    def remove(self, number: int) -> None:
        self._index.remove_ids(faiss.IDSelectorArray(np.array([number], np.int64)))

    def search(self, vector: Vector, count: int) -> list[Neighbour]:
        return self._search(vector, count)

    def numbers(self) -> Numbers:
        found: Numbers = faiss.vector_to_array(self._index.id_map)
        return found

    def vectors(self, numbers: Numbers) -> Vector:
        return _vectors(self._index, numbers)


class ListsIndex:
    """Inverted lists of 8-bit vectors (IVF, SQ8): a few hundred bytes per vector, and a millisecond among a million."""

    def __init__(self, index: faiss.IndexIVF) -> None:
        _keep_large_blocks_apart()
        self._index = index
        self._index.nprobe = _PROBES
        self._search = _Search(index)

    @classmethod
    def trained(cls, count: int, sample: Vector) -> ListsIndex:
        """Empty lists for `count` vectors, fitted to some of them. Takes seconds: not for the event loop."""
        faiss.omp_set_num_threads(1)  # the thread's own setting: the other cores are for look-ups
        dimension = sample.shape[1]
        lists = _lists_for(count)
        quantizer = faiss.IndexFlatIP(dimension)
        index = faiss.IndexIVFScalarQuantizer(
            quantizer, dimension, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
        # Not of residuals, and with some room: vectors that come later must not be cut at the range of the first ones.
        index.by_residual = False
        index.sq.rangestat_arg = _ROOM
        index.cp.max_points_per_centroid = _TRAINED_PER_LIST
        index.cp.min_points_per_centroid = 1  # it would only write a warning
        index.train(np.ascontiguousarray(sample))
        index.set_direct_map_type(faiss.DirectMap.Hashtable)  # type: ignore[attr-defined]
        return cls(index)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, number: int, vector: Vector) -> None:
        self.add_all(np.array([number], np.int64), vector[None])

    def add_all(self, numbers: Numbers, vectors: Vector) -> None:
        """Take up many at once."""
        self._index.add_with_ids(np.ascontiguousarray(vectors, np.float32), numbers)

    def remove(self, number: int) -> None:
        self._index.remove_ids(faiss.IDSelectorArray(np.array([number], np.int64)))

    def search(self, vector: Vector, count: int) -> list[Neighbour]:
        return self._search(vector, count)

    def write(self, write: Callable[[bytes], object]) -> None:
        """Hand the whole index on, piece by piece."""

        def piece(data: bytes) -> int:
            write(data)
            return len(data)

        faiss.write_index(self._index, faiss.PyCallbackIOWriter(piece))  # type: ignore[attr-defined]

    @classmethod
    def read(cls, read: Callable[[int], bytes]) -> ListsIndex:
        """The index that was handed on. Raises RuntimeError where it is none."""
        reader = faiss.PyCallbackIOReader(read)  # type: ignore[attr-defined]
        index = faiss.read_index(reader)
        if not isinstance(index, faiss.IndexIVF):
            raise RuntimeError("other lists")
        return cls(index)

    def numbers(self) -> Numbers:
        """All numbers, in no order."""
        lists: faiss.InvertedLists = self._index.invlists  # type: ignore[assignment]
        found = [
            faiss.rev_swig_ptr(lists.get_ids(number), lists.list_size(number)).copy()
            for number in range(lists.nlist)
            if lists.list_size(number)
        ]
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    def vectors(self, numbers: Numbers) -> Vector:
        return _vectors(self._index, numbers)


def _keep_large_blocks_apart() -> None:
    """Have each large block go back to the system when it is let go, and be there only as far as it is used.

    Lists double as they grow, and are moved; glibc would by and by keep what they leave (mallopt(3): setting the
    threshold ends its rise). A million vectors take 100 MB less.
    """
    with contextlib.suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


class _Search:
    """Asks an index with buffers that are made once: FAISS's own way to and from arrays costs half a short search."""

    def __init__(self, index: faiss.Index) -> None:
        self._index = index
        self._asked = np.empty(index.d, np.float32)
        self._make_room(_FIRST_ROOM)

    def __call__(self, vector: Vector, count: int) -> list[Neighbour]:
        # The setting is the thread's own, and one search is too short for two threads.
        faiss.omp_set_num_threads(1)
        if count > len(self._cosines):
            self._make_room(count)
        self._asked[:] = vector
        self._index.search_c(1, self._pointers[0], count, *self._pointers[1:])  # type: ignore[attr-defined]
        found = zip(self._numbers[:count].tolist(), self._cosines[:count].tolist(), strict=True)
        return [(number, cosine) for number, cosine in found if number >= 0]

    def _make_room(self, count: int) -> None:
        self._cosines, self._numbers = np.empty(count, np.float32), np.empty(count, np.int64)
        self._pointers = [faiss.swig_ptr(array) for array in (self._asked, self._cosines, self._numbers)]
