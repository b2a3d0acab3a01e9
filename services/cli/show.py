"""How decisions, models and money look in a terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from omnisphere.cache.v1 import cache_service_pb2 as cache_pb
from omnisphere.chat.v1 import chat_pb2
from omnisphere.model.v1 import model_pb2
from omnisphere.router.v1 import decision_pb2
from services.chassis.errors import ServiceError


def money(nanousd: int) -> str:
    """Dollars with as many digits as say something: $0.000021."""
    usd = nanousd / 1e9
    if nanousd == 0:
        return "$0"
    return f"${usd:.2f}" if abs(usd) >= 1 else f"${usd:.6f}"


def cost(value: chat_pb2.Cost) -> str:
    """The cost, or that it is not known: unpriced is not zero."""
    return money(value.nanousd) if value.priced else f"{money(value.nanousd)} + unpriced"


def word(enum_name: str, prefix: str) -> str:
    """An enum's value as a person would say it: CACHE_OUTCOME_EXACT_HIT -> exact hit."""
    return enum_name.removeprefix(prefix).lower().replace("_", " ")


def cache_outcome(decision: decision_pb2.Decision) -> str:
    """What the cache said, and why."""
    outcome = word(cache_pb.CacheOutcome.Name(decision.cache.outcome), "CACHE_OUTCOME_")
    if not decision.cache.reason:
        return outcome
    reason = word(cache_pb.CacheReason.Name(decision.cache.reason), "CACHE_REASON_")
    if decision.cache.veto:
        reason += f": {word(cache_pb.CacheVeto.Name(decision.cache.veto), 'CACHE_VETO_')}"
    return f"{outcome} ({reason})"


def nearest(decision: decision_pb2.Decision) -> str:
    """How near the nearest kept request was, and what was needed; empty where none was near."""
    cache = decision.cache
    if not cache.similarity:
        return ""
    said = f"similarity {cache.similarity:.3f}"
    if cache.veto:
        return said
    return f"{said}, confidence {cache.confidence:.3f}, needed {cache.threshold:.3f}"


def tokens(usage: chat_pb2.Usage) -> tuple[int, int]:
    """(all input, all output)."""
    read = usage.input_uncached_tokens + usage.input_cache_read_tokens + usage.input_cache_write_tokens
    return read, usage.output_tokens + usage.reasoning_tokens


def decision_line(console: Console, decision: decision_pb2.Decision, seconds: float) -> None:
    """One line under an answer: who, why, what it took."""
    read, written = tokens(decision.usage)
    said = [
        f"[bold]{decision.model}[/bold]" + (" [yellow](simulated)[/yellow]" if decision.simulated else ""),
        f"{decision.task_type.replace('_', ' ')} by {decision.strategy or 'cache'}",
        f"cache {cache_outcome(decision)}",
        f"{read} + {written} tokens",
        f"[green]{cost(decision.cost)}[/green]",
        f"{seconds * 1000:.0f} ms",
    ]
    if decision.savings.reference_nanousd:
        said.append(f"{decision.savings.reference_model}: about {money(decision.savings.reference_nanousd)}")
    for degradation in decision.degradations:
        kind = word(chat_pb2.Degradation.Kind.Name(degradation.kind), "KIND_")
        said.append(f"[yellow]{kind}: {degradation.subject}[/yellow]")
    console.print("[dim]" + " · ".join(said) + "[/dim]", highlight=False)


def explanation(console: Console, decision: decision_pb2.Decision) -> None:
    """The plan of a request, with every model that was considered."""
    source = word(decision_pb2.TaskSource.Name(decision.task_source), "TASK_SOURCE_")
    console.print(f"task      {decision.task_type} (by {source})", highlight=False)
    console.print(f"policy    {decision.policy or '-'} {decision.policy_hash[:12]}", highlight=False)
    console.print(f"cache     {cache_outcome(decision)}", highlight=False)
    if near := nearest(decision):
        console.print(f"nearest   {near}", highlight=False)
    if decision.model:
        console.print(f"answer    from the cache, once given by {decision.model}", highlight=False)
        return
    table = Table("order", "model", "expected cost", "why", box=None, header_style="bold")
    for place, candidate in enumerate(decision.candidates, start=1):
        why, order = candidate.reason, str(place)
        if candidate.dropped:
            dropped = word(decision_pb2.Candidate.Dropped.Name(candidate.dropped), "DROPPED_")
            why, order = f"{why}: dropped, {dropped}", "-"
        table.add_row(order, candidate.model, cost(candidate.expected_cost), why)
    console.print(table)


def models_table(console: Console, models: list[model_pb2.Model]) -> None:
    """The catalogue."""
    table = Table(box=None, header_style="bold")
    for name in ("model", "also called", "vendor", "tier"):
        table.add_column(name)
    for name in ("window", "in $/M", "out $/M"):
        table.add_column(name, justify="right")
    table.add_column("served by")
    for model in models:
        where = ", ".join(endpoint.name for endpoint in model.endpoints) or "[dim]nobody here[/dim]"
        priced, embeds = model.HasField("prices"), model_pb2.CAPABILITY_EMBEDDINGS in model.capabilities
        table.add_row(
            model.id,
            ", ".join(model.aliases),
            model.vendor,
            word(model_pb2.Tier.Name(model.tier), "TIER_") + (", vectors" if embeds else ""),
            f"{model.window_tokens:,}",
            model.prices.input_usd_per_mtok if priced else "unpriced",
            _output_price(model, embeds=embeds),
            where + (" [yellow](simulated)[/yellow]" if model.simulated else ""),
        )
    console.print(table)


def _output_price(model: model_pb2.Model, *, embeds: bool) -> str:
    """A model that makes vectors has no output to pay for."""
    if embeds:
        return "-"
    return model.prices.output_usd_per_mtok if model.HasField("prices") else "unpriced"


def failure(console: Console, error: ServiceError) -> None:
    """One line: the reason, and what it says."""
    console.print(f"[red]{error.reason()}[/red] {error.message()}", highlight=False)
