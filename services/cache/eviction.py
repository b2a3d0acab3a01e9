"""Who leaves when the table is full: segmented LRU (Karedla, Love and Wherry, 1994). Pure.

    new       on probation, at the young end
    used      protected, at the young end; beyond its share the oldest protected one goes back on probation
    leaves    the oldest on probation; the oldest protected one where none is

What came once and never again passes through probation without pushing out what is asked for again and again.
Orders are chains through two arrays of places, nine bytes per entry, which orders that share no place may share.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

_PROTECTED_SHARE = 0.8
_END = -1


class Links:
    """The neighbours of each place in the order that it is in."""

    def __init__(self) -> None:
        self.older = array("i")
        self.younger = array("i")
        self.is_protected = bytearray()

    def add_places(self, count: int) -> None:
        """There are so many more places."""
        self.older.extend([_END] * count)
        self.younger.extend([_END] * count)
        self.is_protected.extend(bytes(count))


class SegmentedOrder:
    """The order in which entries leave, by their places."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._probation = _Chain(links)
        self._protected = _Chain(links)

    def __len__(self) -> int:
        return self._probation.length + self._protected.length

    def add(self, place: int) -> None:
        """A new entry."""
        self._links.is_protected[place] = False
        self._probation.add(place)

    def add_oldest(self, place: int) -> None:
        """An entry from before all others."""
        self._links.is_protected[place] = False
        self._probation.add_oldest(place)

    def use(self, place: int) -> None:
        """The entry was served."""
        is_protected = self._links.is_protected
        if is_protected[place]:
            if place != self._protected.youngest:  # one that is asked for again and again is there already
                self._protected.remove(place)
                self._protected.add(place)
            return
        self._probation.remove(place)
        self._protected.add(place)
        is_protected[place] = True
        if self._protected.length > _PROTECTED_SHARE * len(self):
            back = self._protected.oldest
            self._protected.remove(back)
            self.add(back)

    def remove(self, place: int) -> None:
        """The entry left."""
        (self._protected if self._links.is_protected[place] else self._probation).remove(place)

    def next(self, *, but: int) -> int:
        """Who leaves next, other than `but`. There must be somebody."""
        return next(place for place in self if place != but)

    def __iter__(self) -> Iterator[int]:
        """Everybody, who leaves first comes first. Not to be changed meanwhile."""
        yield from self._probation
        yield from self._protected


class _Chain:
    """Places from the oldest to the youngest."""

    __slots__ = ("_links", "length", "oldest", "youngest")

    def __init__(self, links: Links) -> None:
        self._links = links
        self.youngest = self.oldest = _END
        self.length = 0

    def add(self, place: int) -> None:
        before = self.youngest
        self._links.older[place], self._links.younger[place] = before, _END
        if before == _END:
            self.oldest = place
        else:
            self._links.younger[before] = place
        self.youngest = place
        self.length += 1

    def add_oldest(self, place: int) -> None:
        after = self.oldest
        self._links.older[place], self._links.younger[place] = _END, after
        if after == _END:
            self.youngest = place
        else:
            self._links.older[after] = place
        self.oldest = place
        self.length += 1

    def remove(self, place: int) -> None:
        older, younger = self._links.older[place], self._links.younger[place]
        if older == _END:
            self.oldest = younger
        else:
            self._links.younger[older] = younger
        if younger == _END:
            self.youngest = older
        else:
            self._links.older[younger] = older
        self.length -= 1

    def __iter__(self) -> Iterator[int]:
        place = self.oldest
        while place != _END:
            yield place
            place = self._links.younger[place]
