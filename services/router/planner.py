"""From a request to a plan: its facts, what is predicted, and the strategy of its policy."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

from omnisphere.chat.v1 import chat_pb2
from services.chassis.errors import InvalidRequest
from services.router.admit import Ask
from services.router.catalog import Catalogue, answers_by_name
from services.router.exchange_rate import ExchangeRate
from services.router.forecast import Forecaster, Outlook, Question
from services.router.plan import Facts, Plan, facts_of
from services.router.policy import Policy, PolicyRow, wrong_models
from services.router.strategies import Strategy
from services.router.strategies.fixed import Fixed, FixedOrder
from services.router.strategies.ladder import Cascading
from services.router.strategies.rule import Rule
from services.router.strategies.worth import CostAware

# `auto` leaves the table in a task when so many models have so many outcomes there.
MODELS_TO_LEARN_FROM, OUTCOMES_TO_LEARN_FROM = 2, 20
_MOST_RATES = 256


class Planner:
    """Plans requests. Quick, and without I/O."""

    def __init__(self, forecaster: Forecaster) -> None:
        self._forecaster = forecaster
        # By tenant and the content of a policy, the one used longest ago first. Tenants that taught nothing have one
        # together: what is predicted for them is the same.
        self._rates: OrderedDict[tuple[str, str], ExchangeRate] = OrderedDict()

    def plan(
        self, ask: Ask, task_type: str, catalogue: Catalogue, *, fast: bool = False, trial: bool = False
    ) -> tuple[Plan, Facts]:
        """The plan, and what it was made from. `fast`: nothing is to be judged; `trial`: nobody is to be asked, so that
        later plans are not to know of it. Raises UnknownModel, InvalidRequest.
        """
        if ask.options.inline_policy:
            _check_inline(ask.policy, catalogue)
        facts = self._facts(ask, task_type, catalogue)
        if ask.model:
            return Fixed(catalogue.answering(ask.model)).plan(facts), facts

        def rate() -> ExchangeRate:
            kept = self._rate(ask.tenant, ask.policy)
            return kept.copy() if trial else kept

        return _strategy(ask.policy.row, rate, facts, fast=fast).plan(facts), facts

    def answered(self, task_type: str, model: str, usage: chat_pb2.Usage) -> None:
        """How long an answer was: the next one will cost about as much."""
        self._forecaster.answered(task_type, model, usage.output_tokens + usage.reasoning_tokens)

    def _facts(self, ask: Ask, task_type: str, catalogue: Catalogue) -> Facts:
        row, options = ask.policy.row, ask.options
        limit = options.max_cost_nanousd if options.HasField("max_cost_nanousd") else _nanousd(row.max_cost_usd) or None
        facts = facts_of(ask.conversation, ask.kinds, task_type, catalogue.models)
        question = Question(ask.tenant, task_type, ask.prompt, facts.input_tokens)
        return replace(
            facts,
            traits=catalogue.traits,
            outlook=Outlook(self._forecaster, question, facts.models),
            regions=frozenset(options.region_tags),
            allowed=frozenset() if ask.model else frozenset(row.models),
            max_cost_nanousd=limit,
        )

    def _rate(self, tenant: str, policy: Policy) -> ExchangeRate:
        name = tenant if self._forecaster.has_taught(tenant) else "", policy.content_hash
        rate = self._rates.pop(name, None) or ExchangeRate()
        self._rates[name] = rate
        if len(self._rates) > _MOST_RATES:
            self._rates.popitem(last=False)
        return rate


def _strategy(row: PolicyRow, rate: Callable[[], ExchangeRate], facts: Facts, *, fast: bool) -> Strategy:
    match row.strategy:
        case "cascade" if not fast:
            return Cascading(row, rate())
        case "cost_aware" | "cascade":
            return CostAware(row, rate())
        case "auto" if _has_learned(facts):
            return CostAware(row, rate())
        case "fixed":
            return FixedOrder(row)
        case _:
            return Rule(row, name="semantic" if row.strategy == "semantic" else "rule")


def _nanousd(usd: float) -> int:
    """0 is no limit, so that the least one is not."""
    return max(1, round(usd * 1e9)) if usd else 0


def _check_inline(policy: Policy, catalogue: Catalogue) -> None:
    """Raise InvalidRequest where it names models that cannot answer; those of a file were checked before."""
    problems = wrong_models([policy], answers_by_name(catalogue.models))
    if problems:
        problem = problems[0].removeprefix(f"policy.{policy.name} ")
        raise InvalidRequest(field="options.inline_policy", problem=problem)


def _has_learned(facts: Facts) -> bool:
    """Whether enough is known of this task to leave the table."""
    outlook = facts.outlook
    if outlook is None:
        return False
    known = [m for m in facts.models if m.endpoints and outlook.outcomes(m.id) >= OUTCOMES_TO_LEARN_FROM]
    return len(known) >= MODELS_TO_LEARN_FROM
