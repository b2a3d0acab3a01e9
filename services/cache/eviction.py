"""Who leaves when the table is full: segmented LRU (Karedla, Love and Wherry, 1994). Pure.

    new       on probation, at the young end
    used      protected, at the young end; beyond its share the oldest protected one goes back on probation
    leaves    the oldest on probation; the oldest protected one where none is

What came once and never again passes through probation without pushing out what is asked for again and again.
"""

from __future__ import annotations

from collections import OrderedDict

from services.cache.fingerprint import Fingerprint

_PROTECTED_SHARE = 0.8


class SegmentedOrder:
    """The order in which entries leave."""

    def __init__(self) -> None:
        # Oldest first.
        self._probation: OrderedDict[Fingerprint, None] = OrderedDict()
        self._protected: OrderedDict[Fingerprint, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._probation) + len(self._protected)

    def add(self, fingerprint: Fingerprint) -> None:
        """A new entry."""
        self._probation[fingerprint] = None

    def use(self, fingerprint: Fingerprint) -> None:
        """The entry was served."""
        if fingerprint in self._protected:
            self._protected.move_to_end(fingerprint)
            return
        del self._probation[fingerprint]
        self._protected[fingerprint] = None
        if len(self._protected) > _PROTECTED_SHARE * len(self):
            back, _ = self._protected.popitem(last=False)
            self._probation[back] = None

    def remove(self, fingerprint: Fingerprint) -> None:
        """The entry left."""
        if fingerprint in self._probation:
            del self._probation[fingerprint]
        else:
            del self._protected[fingerprint]

    def next(self, *, but: Fingerprint) -> Fingerprint:
        """Who leaves next, other than `but`. There must be somebody."""
        return next(name for names in (self._probation, self._protected) for name in names if name != but)

    def all(self) -> list[Fingerprint]:
        """Everybody, who leaves first comes first."""
        return [*self._probation, *self._protected]
