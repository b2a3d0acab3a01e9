"""bench.invariants: generated conversations in three providers' shapes, and every promise of Fit checked on each."""
