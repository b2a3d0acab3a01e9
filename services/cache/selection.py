"""Which entries of a tenant an invalidation means, and how that travels between replicas. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass

from services.cache.entry import Entry


@dataclass(frozen=True, slots=True)
class Selection:
    """Entries that match everything that is set; with nothing set, all of them.

    `scope` is that of fingerprint.Asked. `until`: stored at that time of the wall clock or before; 0: at any time.
    """

    entry_id: str = ""
    tag: str = ""
    model: str = ""
    scope: bytes = b""
    until: float = 0.0

    def takes(self, entry: Entry) -> bool:
        """Whether the entry matches."""
        return (
            (not self.entry_id or entry.entry_id == self.entry_id)
            and (not self.tag or self.tag in entry.tags)
            and (not self.model or entry.model == self.model)
            and (not self.until or entry.stored_at <= self.until)
            and (not self.scope or entry.asked().scope == self.scope)
        )


def written(tenant: str, selection: Selection) -> bytes:
    """The selection of a tenant as bytes, the same for the same one."""
    fields = (tenant, selection.entry_id, selection.tag, selection.model, selection.scope.hex(), selection.until)
    return json.dumps(fields).encode()


def read(data: bytes) -> tuple[str, Selection]:
    """(tenant, selection) of bytes. Raises ValueError where they are none."""
    try:
        tenant, entry_id, tag, model, scope, until = json.loads(data)
        return str(tenant), Selection(str(entry_id), str(tag), str(model), bytes.fromhex(scope), float(until))
    except TypeError as failure:
        raise ValueError("is no selection") from failure
