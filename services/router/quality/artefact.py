"""What `omnisphere train` makes and the router loads: arrays and a header of JSON in one npz, without pickle.

An artefact of another version of the features, one that is damaged and one whose arrays do not fit together are
refused with the reason; so is one whose evaluation is worse than that of the artefact in use (`worse_than`).
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from services.router.judge.learned import LearnedVerifier, learned_verifier
from services.router.quality.cost import CostModel, cost_model
from services.router.quality.estimator import Estimator, estimator
from services.router.quality.features import VERSION, Floats
from services.router.strategies.cascade import Ladder, Taught, ladder

# Raise it whenever the meaning of the arrays changes.
FORMAT: Final = 1
SHIPPED: Final = Path(__file__).with_name("default.npz")
# An artefact in this: what it was trained on may be larger than what it keeps, but not by much.
MOST_BYTES: Final = 64 << 20
# Of the quality explained (1 - squared error / variance), so much less is noise of another sample.
_NOISE: Final = 0.005


class ArtefactUnusable(Exception):
    """The file is not one that this release can use; the text says why."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How the artefact did on outcomes that its fitted parts had not seen.

    `explained`: 1 - squared error of the predicted qualities / their variance. `saving` and `change`: of the rate in
    use, against the reference model. `auc`, `ece`: means over the columns.
    """

    rows: int
    explained: float
    auc: float
    ece: float
    saving: float = 0.0
    change: float = 0.0


@dataclass(frozen=True, slots=True)
class Escalation:
    """A ladder, its verifier, and the rate (quality per USD) that both its steps and the choice before it use."""

    ladder: Ladder
    verifier: LearnedVerifier
    rate: float


@dataclass(frozen=True, slots=True)
class Artefact:
    """All that training knows. `reference`: the column of the best mean quality; `rate`: quality per USD.

    `escalation` is None where no ladder earned its calls. `provenance` names the sources, their licences and rows.
    """

    estimator: Estimator
    cost: CostModel
    reference: str
    rate: float
    escalation: Escalation | None
    evaluation: Evaluation
    provenance: Mapping[str, Any]

    def taught(self, in_tokens: int, tasks: Floats) -> Taught | None:
        """The cascade of one request, by its tokens and the probabilities of its tasks; None: there is no ladder."""
        if self.escalation is None:
            return None
        usd = self.cost.expected(in_tokens, tasks)
        return Taught(self.escalation.ladder, self.estimator.columns, self.escalation.rate, usd, tasks)

    def dump(self) -> bytes:
        """The file's bytes, the same for the same artefact."""
        arrays: dict[str, npt.NDArray[Any]] = {**self.estimator.arrays(), **self.cost.arrays()}
        if self.escalation is not None:
            arrays |= self.escalation.ladder.arrays() | self.escalation.verifier.arrays()
            arrays["ladder_rate"] = np.array(self.escalation.rate)
        header = {
            "format": FORMAT,
            "features": VERSION,
            "reference": self.reference,
            "rate": self.rate,
            "evaluation": asdict(self.evaluation),
            "provenance": dict(self.provenance),
            "digest": _digest(arrays),
        }
        text = json.dumps(header, sort_keys=True, ensure_ascii=False).encode()
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, header=np.frombuffer(text, np.uint8), **arrays)
        return file.getvalue()

    def worse_than(self, current: Artefact) -> str | None:
        """Why it may not take the other's place; None: it may. Only artefacts of equal columns are compared."""
        if set(self.estimator.columns) != set(current.estimator.columns):
            return None
        mine, its = self.evaluation, current.evaluation
        if mine.explained < its.explained - _NOISE:
            return f"it explains {mine.explained:.3f} of the qualities, the one in use {its.explained:.3f}"
        return None


def parse(data: bytes, name: str = "artefact") -> Artefact:
    """The artefact of a file's bytes. Raises ArtefactUnusable, whose text begins with `name`."""
    if len(data) > MOST_BYTES:
        raise ArtefactUnusable(f"{name}: larger than {MOST_BYTES} bytes")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files if key != "header"}
            header = json.loads(file["header"].tobytes())
        if header["format"] != FORMAT:
            raise ArtefactUnusable(f"{name}: format {header['format']}, not {FORMAT}")
        if header["features"] != VERSION:
            raise ArtefactUnusable(f"{name}: features of version {header['features']}, not {VERSION}; train it again")
        if header["digest"] != _digest(arrays):
            raise ArtefactUnusable(f"{name}: damaged: its arrays are not those that were written")
        return _assembled(arrays, header)
    except ArtefactUnusable:
        raise
    except (OSError, EOFError, ValueError, KeyError, TypeError, IndexError, BadZipFile, NotImplementedError) as failure:
        raise ArtefactUnusable(f"{name}: cannot be read") from failure


def load(path: Path = SHIPPED) -> Artefact:
    """The artefact of a file. Raises ArtefactUnusable."""
    try:
        data = path.read_bytes()
    except OSError as failure:
        raise ArtefactUnusable(f"{path.name}: cannot be read") from failure
    return parse(data, path.name)


def _assembled(arrays: Mapping[str, npt.NDArray[Any]], header: Mapping[str, Any]) -> Artefact:
    known = estimator(arrays)
    tasks, columns = len(known.tasks), len(known.columns)
    escalation = None
    if "ladder_models" in arrays:
        escalation = Escalation(
            ladder(arrays, known.columns, tasks), learned_verifier(arrays, tasks), float(arrays["ladder_rate"])
        )
    if header["reference"] not in known.columns:
        raise ValueError("the reference is none of its columns")
    return Artefact(
        known,
        cost_model(arrays, tasks, columns),
        str(header["reference"]),
        float(header["rate"]),
        escalation,
        Evaluation(**header["evaluation"]),
        header["provenance"],
    )


def _digest(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    found = hashlib.sha256()
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        found.update(f"{name}:{values.dtype.str}:{values.shape};".encode())
        found.update(values.tobytes())
    return found.hexdigest()
