"""`omnisphere train`: recorded outcomes in, an artefact for the router's predictor out."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from services.chassis.settings import StartError

if TYPE_CHECKING:
    from services.router.quality.artefact import Artefact

# What the training extra brings, by the names that are imported.
_NEEDED = ("numpy", "scipy", "sklearn", "lightgbm", "pyarrow")


def train_files(
    paths: Sequence[Path], out: Path, *, tiers: bool, terms: int | None, force: bool
) -> tuple[Artefact, int]:
    """Writes the artefact of some files of outcomes; (the artefact, bytes written). Raises StartError.

    An artefact that is worse than the one at `out` is not written without `force`. A router that watches `out` sees the
    old one or the new one, and never a half.
    """
    if not out.parent.is_dir() or out.is_dir():  # said before the training, not after it
        raise StartError(f"{out} cannot be written: no such directory, or one itself")
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise StartError(f'{", ".join(missing)} missing: pip install "omnisphere[training]"')
    from services.training.outcomes import OutcomesUnusable, read
    from services.training.tiers import by_tier, shipped, together
    from services.training.train import MOST_TERMS, train

    names = shipped()
    try:
        parts = [read(path) for path in paths]
        if tiers:
            parts = [by_tier(part, names) for part in parts]
        artefact = train(together(parts), _provenance(paths, names.sources), most_terms=terms or MOST_TERMS)
    except OutcomesUnusable as failure:
        raise StartError(str(failure)) from failure
    if not force:
        _not_worse(artefact, out)
    data = artefact.dump()
    beside = out.with_name(f".{out.name}.new")
    try:
        beside.write_bytes(data)
        beside.replace(out)
    except OSError as failure:
        beside.unlink(missing_ok=True)
        raise StartError(f"{out} cannot be written: {failure.strerror}") from failure
    return artefact, len(data)


def told(artefact: Artefact, size: int, out: Path) -> list[str]:
    """What came of it, in a few lines."""
    found = artefact.evaluation
    shape = f"{len(artefact.estimator.tasks)} tasks, {len(artefact.estimator.columns)} columns"
    unseen = f"AUC {found.auc:.3f}, calibration error {found.ece:.3f}"
    lines = [
        f"{out}: {size:,} bytes, {found.rows:,} rows, {shape}",
        f"on rows that it had not seen: explains {found.explained:.3f} of the qualities, {unseen}",
    ]
    if found.saving:
        lines.append(
            f"would have saved {found.saving:.1%} against {artefact.reference}, at {100 * found.change:+.2f} points"
        )
    if artefact.escalation is not None:
        lines.append(f"ladder: {' -> '.join(artefact.escalation.ladder.models)}")
    return lines


def _provenance(paths: Sequence[Path], known: Mapping[str, str]) -> dict[str, object]:
    return {
        "files": {
            path.name: {
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                **({"source": known[path.stem]} if path.stem in known else {}),
            }
            for path in paths
        }
    }


def _not_worse(artefact: Artefact, out: Path) -> None:
    from services.router.quality.artefact import ArtefactUnusable, load

    if not out.exists():
        return
    try:
        current = load(out)
    except ArtefactUnusable:
        return  # of another version, or damaged: anything is better
    why = artefact.worse_than(current)
    if why is not None:
        raise StartError(f"{out} stays as it is: the new one is worse: {why} (--force writes it all the same)")
