"""The journeys of the providers service around a directory that a test has made."""

from __future__ import annotations

from random import Random

from services.chassis.clock import Clock, SystemClock
from services.ledger.ledger import NoBook
from services.providers.balancer import BALANCERS
from services.providers.breaker import BreakerRules
from services.providers.call import Caller
from services.providers.embed import Embedder
from services.providers.endpoints import Directory
from services.providers.ledger import Attempts
from services.providers.metrics import ProvidersMetrics
from services.providers.picker import Picker
from services.providers.places import Places
from services.providers.pricing import Pricing, UnpricedPolicy
from services.providers.retry import Retries, RetryRules
from services.providers.server import callers
from services.providers.transport import Transport
from services.providers.watch import NoWatch

ONCE = RetryRules(attempts=1)
# A breaker that stays closed whatever a test has go wrong.
PATIENT_BREAKER = BreakerRules(failures=1_000_000)


def wired(
    directory: Directory,
    transport: Transport,
    metrics: ProvidersMetrics,
    *,
    attempts: Attempts | None = None,
    clock: Clock | None = None,
    rules: RetryRules = ONCE,
    breaker: BreakerRules = PATIENT_BREAKER,
    unpriced: UnpricedPolicy = "allow",
) -> tuple[Caller, Embedder]:
    """A caller and an embedder that make one attempt, unless `rules` says otherwise."""
    clock = clock or SystemClock()
    picker = Picker(Places(breaker, longest_rest=0.0), BALANCERS["power_of_two"], Random(1), NoWatch())
    retries = Retries(rules, clock, Random(1))
    books = attempts or Attempts(NoBook(), metrics)
    return callers(lambda: directory, transport, books, picker, retries, Pricing(unpriced), metrics, clock)
