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
import numpy.typing as npt

from services.cache.index import Neighbour
from services.embedding.embedder import Vector

# Lists that a query looks through; with the list counts below it finds 99 of 100 neighbours at cosine 0.9 and above.
_PROBES = 8
_MOST_LISTS = 2_048
# By how much the range of a number is wider than what was trained on.
_ROOM = 0.25
# What k-means is trained on, per list.
_TRAINED_PER_LIST = 64
_M_MMAP_THRESHOLD, _LARGE_BYTES = -3, 128 * 1024


class FlatIndex:
    """Exact, one pass over all vectors."""

    def __init__(self, dimension: int) -> None:
        faiss.omp_set_num_threads(1)
        self._index = faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, number: int, vector: Vector) -> None:
        self.add_all([number], vector[None])

    def add_all(self, numbers: list[int], vectors: Vector) -> None:
        """Take up many at once."""
        self._index.add_with_ids(np.ascontiguousarray(vectors, np.float32), np.array(numbers, np.int64))

    def remove(self, number: int) -> None:
        self._index.remove_ids(faiss.IDSelectorArray(np.array([number], np.int64)))

    def search(self, vector: Vector, count: int) -> list[Neighbour]:
        return _search(self._index, vector, count)

    def rows(self) -> tuple[list[int], Vector]:
        numbers = faiss.vector_to_array(self._index.id_map)
        vectors = self._index.index.reconstruct_n(0, self._index.ntotal)
        return numbers.tolist(), vectors


class ListsIndex:
    """Inverted lists of 8-bit vectors (IVF, SQ8): a few hundred bytes per vector, and a millisecond among a million."""

    def __init__(self, index: faiss.IndexIVF) -> None:
        faiss.omp_set_num_threads(1)
        _keep_large_blocks_apart()
        self._index = index
        self._index.nprobe = _PROBES

    @classmethod
    def trained(cls, numbers: list[int], vectors: Vector) -> ListsIndex:
        """An index of these vectors, its lists fitted to them. Takes seconds: not for the event loop."""
        count, dimension = vectors.shape
        lists = max(1, min(_MOST_LISTS, int(2 * math.sqrt(count))))
        quantizer = faiss.IndexFlatIP(dimension)
        index = faiss.IndexIVFScalarQuantizer(
            quantizer, dimension, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
        )
        # Not of residuals, and with some room: vectors that come later must not be cut at the range of the first ones.
        index.by_residual = False
        index.sq.rangestat_arg = _ROOM
        index.cp.max_points_per_centroid = _TRAINED_PER_LIST
        index.cp.min_points_per_centroid = 1  # it would only write a warning
        chosen = np.random.default_rng(0).permutation(count)[: lists * _TRAINED_PER_LIST]
        index.train(vectors[chosen])
        index.set_direct_map_type(faiss.DirectMap.Hashtable)  # type: ignore[attr-defined]
        made = cls(index)
        if count:
            made.add_all(numbers, vectors)
        return made

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def add(self, number: int, vector: Vector) -> None:
        self.add_all([number], vector[None])

    def add_all(self, numbers: list[int], vectors: Vector) -> None:
        """Take up many at once."""
        self._index.add_with_ids(np.ascontiguousarray(vectors, np.float32), np.array(numbers, np.int64))

    def remove(self, number: int) -> None:
        self._index.remove_ids(faiss.IDSelectorArray(np.array([number], np.int64)))

    def search(self, vector: Vector, count: int) -> list[Neighbour]:
        return _search(self._index, vector, count)

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

    def numbers(self) -> npt.NDArray[np.int64]:
        """All numbers, in no order."""
        lists: faiss.InvertedLists = self._index.invlists  # type: ignore[assignment]
        found = [
            faiss.rev_swig_ptr(lists.get_ids(number), lists.list_size(number)).copy()
            for number in range(lists.nlist)
            if lists.list_size(number)
        ]
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    def rows(self) -> tuple[list[int], Vector]:
        numbers = self.numbers()
        vectors: Vector = self._index.reconstruct_batch(numbers)
        return numbers.tolist(), vectors


def _keep_large_blocks_apart() -> None:
    """Have each large block go back to the system when it is let go, and be there only as far as it is used.

    Lists double as they grow, and are moved; glibc would by and by keep what they leave (mallopt(3): setting the
    threshold ends its rise). A million vectors take 100 MB less.
    """
    with contextlib.suppress(AttributeError):  # another C library
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def _search(index: faiss.Index, vector: Vector, count: int) -> list[Neighbour]:
    cosines, numbers = index.search(vector[None], count)
    return [
        (number, cosine) for number, cosine in zip(numbers[0].tolist(), cosines[0].tolist(), strict=True) if number >= 0
    ]
