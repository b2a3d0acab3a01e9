"""The calibrations of all models: made from the reports that are kept, anew after some more of them."""

from __future__ import annotations

import base64
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from operator import itemgetter
from threading import Lock

from omnisphere.chat.v1 import chat_pb2 as chat
from services.chassis.errors import InvalidRequest
from services.context.calibrate import COLD, Calibration, Report, is_due, learned
from services.context.families import Feature, family_name, family_of
from services.context.store import Store, StoreFailed, Value

_MOST_MODELS = 1_024
# Of a request's pieces of content, those that a report tells of.
_MOST_PIECES = 48
_MOST_TOKENS = 100_000_000
# A report that is so many times off, and by more than a hidden prompt, is no count of the same request.
_MOST_TIMES, _MOST_HIDDEN = 16.0, 4_096
# The newest of each model and family that are learned from.
_OF_MODEL, _OF_FAMILY = 256, 256
_PUT = "INSERT INTO reports (model, family, report) VALUES (?, ?, ?)"
_DROP = """DELETE FROM reports WHERE model = ? AND number <= (
    SELECT number FROM reports WHERE model = ? ORDER BY number DESC LIMIT 1 OFFSET ?)"""
_OWN = "SELECT model, report FROM reports WHERE model = ? ORDER BY number DESC LIMIT ?"
_OTHERS = "SELECT model, report FROM reports WHERE family = ? AND model != ? ORDER BY number DESC LIMIT ?"
_Asked = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Reference:
    """What a `count_ref` says: our uncalibrated count of a request, and what it is made of."""

    model: str
    wire_format: str
    estimate: int
    features: tuple[float, ...]
    pieces: tuple[tuple[str, float], ...] = ()


def ref_of(counted: Reference) -> str:
    """The count_ref of a count that was not calibrated; of its pieces it names those that may be off most."""
    pieces = nlargest(_MOST_PIECES, counted.pieces, key=itemgetter(1))
    said = [
        counted.model,
        counted.wire_format,
        counted.estimate,
        [round(amount, 1) for amount in counted.features],
        pieces,
    ]
    return base64.urlsafe_b64encode(json.dumps(said, separators=(",", ":")).encode()).decode()


def read_ref(ref: str) -> Reference:
    """What a count_ref says. Raises InvalidRequest for what is none."""
    try:
        model, wire_format, estimate, features, pieces = json.loads(base64.urlsafe_b64decode(ref.encode()))
        amounts = tuple(float(amount) for amount in features)
        doubts = tuple((str(key), float(doubt)) for key, doubt in pieces)
        reference = Reference(str(model), str(wire_format), int(estimate), amounts, doubts)
    except (ValueError, TypeError) as failure:
        raise InvalidRequest(field="count_ref", problem="is none of ours") from failure
    figures = (reference.estimate, *amounts, *(doubt for _, doubt in doubts))
    in_range = all(0 <= amount <= _MOST_TOKENS for amount in figures) and len(doubts) <= _MOST_PIECES
    named = (
        0 < len(reference.model) <= 256 and len(reference.wire_format) <= 64 and all(len(k) <= 16 for k, _ in doubts)
    )
    if len(amounts) != len(Feature) or not in_range or not named:
        raise InvalidRequest(field="count_ref", problem="is none of ours")
    return reference


class Calibrations:
    """Calibrations by model. Threads may share it; both `of` for a new model and `report` read or write a file."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._using = Lock()
        self._current: OrderedDict[_Asked, Calibration] = OrderedDict()
        self._reports: dict[_Asked, int] = {}

    def is_loaded(self, model: str, wire_format: str = "") -> bool:
        """Whether `of` returns at once."""
        return (model, wire_format) in self._current

    def of(self, model: str, wire_format: str = "") -> Calibration:
        """The calibration of a concrete model in a wire format; without one, of the model in any."""
        found = self._current.get((model, wire_format))
        if found is None:
            with self._using:
                found = self._made(model, wire_format)
        return found

    def report(self, reference: Reference, usage: chat.Usage) -> Calibration:
        """Learn from what the provider counted; hands back the calibration that counts use from now on."""
        tokens = usage.input_uncached_tokens + usage.input_cache_read_tokens + usage.input_cache_write_tokens
        asked = model, wire_format = reference.model, reference.wire_format
        if (
            usage.estimated
            or not reference.estimate
            or not 0 < tokens <= reference.estimate * _MOST_TIMES + _MOST_HIDDEN
        ):
            return self.of(model, wire_format)
        packed = json.dumps([wire_format, reference.estimate, reference.features, tokens, reference.pieces])
        with self._using:
            try:
                row = (model, family_name(model), packed)
                self._store.write((_PUT, [row]), (_DROP, [(model, model, _OF_MODEL)]))
            except StoreFailed:
                return self._current.get(asked, COLD)
            self._reports[asked] = self._reports.get(asked, 0) + 1
            if is_due(self._reports[asked]):
                self._made(model, wire_format)
        return self.of(model, wire_format)

    def _made(self, model: str, wire_format: str) -> Calibration:
        """Made from what is kept; bounded, the one made longest ago is forgotten and made again when it is needed."""
        reports = self._kept(model)
        found = learned(reports, model, wire_format, is_exact=family_of(model).is_exact)
        asked = (model, wire_format)
        own = sum(1 for report in reports if (report.model, report.wire_format) == asked)
        self._reports.setdefault(asked, own)
        self._current[asked] = found
        while len(self._current) > _MOST_MODELS:
            old, _ = self._current.popitem(last=False)
            self._reports.pop(old, None)
        return found

    def _kept(self, model: str) -> list[Report]:
        """The model's own reports and those of its family, oldest first."""
        try:
            own = self._store.read(_OWN, (model, _OF_MODEL))
            others = self._store.read(_OTHERS, (family_name(model), model, _OF_FAMILY))
        except StoreFailed:
            return []
        reports = [_report(row) for row in reversed([*own, *others])]
        return [report for report in reports if report is not None]


def _report(row: Sequence[Value]) -> Report | None:
    try:
        wire_format, estimate, features, reported, pieces = json.loads(str(row[1]))
        report = Report(
            float(estimate),
            tuple(map(float, features)),
            float(reported),
            str(row[0]),
            str(wire_format),
            tuple((str(key), float(doubt)) for key, doubt in pieces),
        )
    except (ValueError, TypeError):
        return None
    return report if len(report.features) == len(Feature) else None
