"""The metrics of every service, read from the classes that make them, on registries of their own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client import Gauge as LockedGauge
from prometheus_client.registry import Collector

from services.cache.metrics import CacheMetrics
from services.chassis.counting import Counter, Family, Gauge, Histogram
from services.chassis.metrics import CallMetrics
from services.context.metrics import ContextMetrics
from services.providers.metrics import ProvidersMetrics
from services.router.edge.metrics import EdgeMetrics
from services.router.metrics import RouterMetrics

# Every class of metrics there is, by who has it; a test finds those that are missing here.
CLASSES: Mapping[str, tuple[Callable[[CollectorRegistry], object], ...]] = {
    "every service": (CallMetrics,),
    "router": (RouterMetrics, EdgeMetrics),
    "cache": (CacheMetrics,),
    "context": (ContextMetrics,),
    "providers": (ProvidersMetrics,),
}
# What each label can say: every one is bounded, by the contracts, the catalogue or the settings, never by callers.
LABELS: Mapping[str, str] = {
    "accepted": "`yes`, `no`",
    "by": "`request_id` or `content`: what made two requests the same",
    "cache": "outcomes of a look-up as in `CacheOutcome`, in lower case; empty: not asked",
    "check": "`right`, `wrong`, `unknown`; `queue_full`, `budget` or a reason of [errors](errors.md): none was made",
    "class": "`input_uncached`, `input_cache_read`, `input_cache_write`, `output`, `reasoning`",
    "code": "names of gRPC's status codes",
    "endpoint": "names of endpoints in the settings; `simulator`",
    "error_type": "reasons of [errors](errors.md); empty: none",
    "gen_ai_operation_name": "`chat`",
    "gen_ai_provider_name": "as `endpoint`",
    "gen_ai_request_model": "as `model`",
    "gen_ai_token_type": "`input`, `output`",
    "file": "`policies`, `artefact`",
    "judge": "`Verdict.Judge` in the contract, in lower case",
    "key_name": "names of keys in the settings; empty: the whole endpoint",
    "kind": "kinds of `Degradation` in the contract",
    "method": "full names of the methods that the server has; `other` for every other one",
    "model": "concrete ids of the catalogue; empty: no model answered",
    "verdict": "`right`, `wrong`, `unknown`: what checks of answers by meaning found",
    "outcome": "`CacheOutcome` or `AttemptOutcome` in lower case; of a fit `whole`, `cut`, `too_long`",
    "place": "`inline` or `executor`",
    "purpose": "`Purpose` in the contract, in lower case",
    "reason": "reasons of [errors](errors.md), `CANCELLED`; empty: an answer",
    "result": "`stored`, or the `CacheReason` for which it was not, in lower case",
    "route": "routes of the HTTP edge; `other` for every other path",
    "source": "of tokens and cost `reported` by the provider, or `estimated` here; of outcomes `feedback`, `judge`, "
    "`shadow`, `other_artefact` for those that could not be learned from, `untold` for those other routers missed",
    "status": "HTTP statuses that the edge sends; 499 where the caller hung up",
    "step": "steps of a request's journey, see [request](request.md)",
    "strategy": "names of strategies; empty: none was needed",
    "task": "task types of the policies; `other` for those that a policy of one request made up",
    "why": "`queue_full`, `storage`, or the reason of an error in lower case",
}
_UNITS = (
    ("seconds", "seconds"),
    ("bytes", "bytes"),
    ("nanousd", "10⁻⁹ USD"),
    ("tokens?", "tokens"),
    ("ratio", "0 to 1"),
)
_KINDS = {Counter: "counter", Gauge: "gauge", LockedGauge: "gauge", Histogram: "histogram"}


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as /metrics shows it: a counter's name ends with _total."""

    name: str
    kind: str
    labels: tuple[str, ...]
    unit: str
    text: str

    @property
    def series(self) -> tuple[str, ...]:
        """The names that its samples have."""
        if self.kind != "histogram":
            return (self.name,)
        return tuple(f"{self.name}_{part}" for part in ("bucket", "count", "sum"))

    def has_label(self, series: str, label: str) -> bool:
        """Whether the samples of this name can have the label."""
        return label in self.labels or (label == "le" and series.endswith("_bucket"))


class _Noted(CollectorRegistry):
    """Keeps what is registered, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[Family[Any] | LockedGauge] = []

    def register(self, collector: Collector) -> None:
        super().register(collector)
        if isinstance(collector, Family | LockedGauge):
            self.noted.append(collector)


def tables() -> dict[str, list[Metric]]:
    """All metrics, by who has them, in the order in which they are made."""
    return {who: list(_made_by(classes)) for who, classes in CLASSES.items()}


def _made_by(classes: tuple[Callable[[CollectorRegistry], object], ...]) -> Iterator[Metric]:
    registry = _Noted()
    for made in classes:
        made(registry)
    for collector in registry.noted:
        (family,) = collector.describe()
        kind = _KINDS[type(collector)]
        unit = next((said for word, said in _UNITS if re.search(rf"_{word}(_|$)", family.name)), "number")
        labels = () if isinstance(collector, LockedGauge) else collector.label_names
        yield Metric(
            f"{family.name}_total" if kind == "counter" else family.name, kind, labels, unit, family.documentation
        )
