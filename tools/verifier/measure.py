"""A verifier of every pair there is, for measuring what the method can do. It does not ship: most texts may not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.cache.pairs import Pair
from tools.verifier.__main__ import ruled
from tools.verifier.fit import Margin, fitted
from tools.verifier.lessons import Teacher, of_stream


def fit_for(pairs: Sequence[Pair], into: Path) -> None:
    """Fit on all the pairs, and write the file that a cache service can be given."""
    teacher = Teacher()
    learn = [of_stream(teacher, pairs, whole=True), ruled(teacher, list(pairs))]
    judge = of_stream(teacher, pairs, whole=False)
    fitted(learn, judge, Margin()).save(into, model_hash=teacher.model_hash)
