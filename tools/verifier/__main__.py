"""python -m tools.verifier: fit the verifier that ships, services/cache/verifier.npz, the same bytes each time.

It learns from pairs whose licence lets them ship (CheckList, GPTCache's mock data, gated-semantic-cache; all MIT), and
from sentences made by rules. The threshold of each false-hit budget comes from the same stream, out of fold; nothing of
the sources that are for measuring is used. What runs here: pip install -e '.[models]'.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path

from bench.cache.pairs import SHIPPABLE, Pair, read
from services.cache.verifier import SHIPPED, Verifier
from tools.verifier.fit import Margin, fitted
from tools.verifier.lessons import Lessons, Teacher, of_rules
from tools.verifier.rules import filled, varied

PAIRS = Path(__file__).parents[2] / "../shared/data/paraphrases/pairs.jsonl.gz"
_SEED = 7
# Every source here has exact labels, so that the whole budget may be used.
_MARGIN = Margin(all=1.0, exact=1.0)


def ruled(teacher: Teacher, pairs: list[Pair]) -> Lessons:
    """Lessons of the pairs that may ship, and of sentences made by rules, from them and from phrases."""
    chance = random.Random(_SEED)  # noqa: S311
    may_ship = [pair for pair in pairs if pair.source in SHIPPABLE]
    natural = {pair.a for pair in may_ship if pair.source != "checklist" or pair.kind.startswith("Swap")}
    return of_rules(teacher, [*filled(chance), *varied(sorted(natural), chance)], may_ship)


def shipped(teacher: Teacher, pairs: list[Pair]) -> Verifier:
    """The verifier that ships, of the pairs of one file."""
    lessons = ruled(teacher, pairs)
    return fitted([lessons], lessons, _MARGIN)


def main() -> None:
    """Fit and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=Path, default=PAIRS)
    parser.add_argument("--out", type=Path, default=SHIPPED)
    arguments = parser.parse_args()
    teacher = Teacher()
    verifier = shipped(teacher, read(arguments.pairs))
    verifier.save(arguments.out, model_hash=teacher.model_hash)
    said = ", ".join(f"{b:.2%}: {t:.3f}" for b, t in zip(verifier.budgets, verifier.thresholds, strict=True))
    print(f"{arguments.out}: {arguments.out.stat().st_size:,} bytes, thresholds {said}")


if __name__ == "__main__":
    main()
