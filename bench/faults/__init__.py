"""bench.faults: sixteen things that a provider does wrong, and what the caller of the mesh has of it."""
