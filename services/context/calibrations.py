"""The calibrations of all models: made from the reports that are kept, anew after some more of them."""

from __future__ import annotations

import base64
import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from omnisphere.chat.v1 import chat_pb2 as chat
from services.chassis.errors import InvalidRequest
from services.context.calibrate import COLD, Calibration, Report, is_due, learned
from services.context.families import Feature, family_name, family_of
from services.context.store import Store, StoreFailed, Value

_MOST_MODELS = 1_024
_MOST_TOKENS = 100_000_000
# A report that is so far off is no count of the same request.
_MOST_TIMES = 16.0
# The newest of each model and family that are learned from.
_OF_MODEL, _OF_FAMILY = 256, 1_024
_PUT = "INSERT INTO reports (model, family, report) VALUES (?, ?, ?)"
_DROP = """DELETE FROM reports WHERE model = ? AND number <= (
    SELECT number FROM reports WHERE model = ? ORDER BY number DESC LIMIT 1 OFFSET ?)"""
_GET = "SELECT report FROM reports WHERE {} = ? ORDER BY number DESC LIMIT ?"


@dataclass(frozen=True, slots=True)
class Reference:
    """What a `count_ref` says: our uncalibrated count of a request, and what it is made of."""

    model: str
    estimate: int
    features: tuple[float, ...]


def ref_of(model: str, estimate: int, features: Sequence[float]) -> str:
    """The count_ref of a count that was not calibrated."""
    said = [model, estimate, [round(amount, 1) for amount in features]]
    return base64.urlsafe_b64encode(json.dumps(said, separators=(",", ":")).encode()).decode()


def read_ref(ref: str) -> Reference:
    """What a count_ref says. Raises InvalidRequest for what is none."""
    try:
        model, estimate, features = json.loads(base64.urlsafe_b64decode(ref.encode()))
        amounts = tuple(float(amount) for amount in features)
        reference = Reference(str(model), int(estimate), amounts)
    except (ValueError, TypeError) as failure:
        raise InvalidRequest(field="count_ref", problem="is none of ours") from failure
    in_range = all(0 <= amount <= _MOST_TOKENS for amount in (reference.estimate, *amounts))
    if len(amounts) != len(Feature) or not in_range or not 0 < len(reference.model) <= 256:
        raise InvalidRequest(field="count_ref", problem="is none of ours")
    return reference


class Calibrations:
    """Calibrations by model. Threads may share it; both `of` for a new model and `report` read or write a file."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._using = Lock()
        self._current: OrderedDict[str, Calibration] = OrderedDict()
        self._reports: dict[str, int] = {}

    def is_loaded(self, model: str) -> bool:
        """Whether `of` returns at once."""
        return model in self._current

    def of(self, model: str) -> Calibration:
        """The calibration of a concrete model."""
        found = self._current.get(model)
        if found is None:
            with self._using:
                found = self._made(model)
        return found

    def report(self, reference: Reference, usage: chat.Usage) -> Calibration:
        """Learn from what the provider counted; hands back the calibration that counts use from now on."""
        tokens = usage.input_uncached_tokens + usage.input_cache_read_tokens + usage.input_cache_write_tokens
        if usage.estimated or not reference.estimate or not 0 < tokens <= reference.estimate * _MOST_TIMES:
            return self.of(reference.model)
        model = reference.model
        packed = json.dumps([reference.estimate, reference.features, tokens])
        with self._using:
            try:
                row = (model, family_name(model), packed)
                self._store.write((_PUT, [row]), (_DROP, [(model, model, _OF_MODEL)]))
            except StoreFailed:
                return self._current.get(model, COLD)
            self._reports[model] = self._reports.get(model, 0) + 1
            if is_due(self._reports[model]):
                self._made(model)
        return self.of(model)

    def _made(self, model: str) -> Calibration:
        """Made from what is kept; bounded, the one made longest ago is forgotten and made again when it is needed."""
        own = self._kept("model", model, _OF_MODEL)
        family = self._kept("family", family_name(model), _OF_FAMILY)
        found = learned(family, own, is_exact=family_of(model).is_exact)
        self._reports.setdefault(model, len(own))
        self._current[model] = found
        while len(self._current) > _MOST_MODELS:
            old, _ = self._current.popitem(last=False)
            self._reports.pop(old, None)
        return found

    def _kept(self, column: str, value: str, most: int) -> list[Report]:
        try:
            rows = self._store.read(_GET.format(column), (value, most))
        except StoreFailed:
            return []
        reports = [_report(row) for row in reversed(rows)]
        return [report for report in reports if report is not None]


def _report(row: Sequence[Value]) -> Report | None:
    try:
        estimate, features, reported = json.loads(str(row[0]))
        report = Report(float(estimate), tuple(map(float, features)), float(reported))
    except (ValueError, TypeError):
        return None
    return report if len(report.features) == len(Feature) else None
