"""Do six books say the same? From what was read of them and no more; every difference is a line. Pure.

upstream        what the simulator served, by model
attempts        rows of the providers' ledger, and their JSON lines
requests        rows of the router's ledger, and their JSON lines
metrics         of both, where no process was started anew
usage           what GetUsage says, by tenant and model
told            what each caller was told
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.books.play import Told
from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb

Row = Mapping[str, Any]
# (metric, labels, value)
Sample = tuple[str, Mapping[str, str], float]
_INPUT = ("input_uncached", "input_cache_read", "input_cache_write")
_OUTPUT = ("output", "reasoning")
_SUMS = (*_INPUT, *_OUTPUT, "cost_nanousd")
_OF_THE_REQUEST = ("answer", "judge")
_GIVEN_UP = ("CANCELLED", "DEADLINE_EXCEEDED")


@dataclass(frozen=True, slots=True)
class Books:
    """All of them. `metrics` is None where a process was started anew."""

    upstream: Mapping[str, Mapping[str, int]]
    attempts: Sequence[Row]
    attempt_lines: Sequence[Row]
    requests: Sequence[Row]
    request_lines: Sequence[Row]
    metrics: Sequence[Sample] | None
    usage: Sequence[pb.UsageRow]
    told: Sequence[Told]


def differences(books: Books) -> list[str]:
    """A line for each. Where providers were started anew nobody can say what some calls cost; else all is known."""
    found = [*_lines("attempt", books.attempts, books.attempt_lines)]
    found += _lines("request", books.requests, books.request_lines)
    found += [*_usage(books), *_upstream(books), *_joined(books), *_told(books)]
    if books.metrics is not None:
        found += [f"{row['request_id']}: nobody says what it cost" for row in books.requests if not row["priced"]]
        found += [*_provider_metrics(books.attempts, books.metrics), *_router_metrics(books.requests, books.metrics)]
    return found


def _lines(name: str, rows: Iterable[Row], lines: Iterable[Row]) -> list[str]:
    """The file and the log hold the same, each row once."""
    kept, said = (Counter(tuple(sorted(row.items())) for row in each) for each in (rows, lines))
    return [
        f"{name}: {count} x in the {where} alone: {dict(row)}"
        for where, more in (("file", kept - said), ("log", said - kept))
        for row, count in more.items()
    ]


def _upstream(books: Books) -> Iterable[str]:
    mine: dict[str, Counter[str]] = defaultdict(Counter)
    for row in books.attempts:
        book = mine[row["model"]]
        book["requests"] += 1
        book["left"] += row["outcome"] == "cancelled"
        book["left_early"] += row["outcome"] == "cancelled" and not row["http_status"]
        book["completed"] += not row["estimated"] and row["input_uncached"] > 0
        if not row["estimated"]:
            book["input_tokens"] += sum(row[name] for name in _INPUT)
            book["output_tokens"] += sum(row[name] for name in _OUTPUT)
            book["cost_nanousd"] += row["cost_nanousd"]
    for model in sorted(books.upstream.keys() | mine.keys()):
        theirs, ours = books.upstream.get(model, {}), mine[model]
        fields = ["requests", "input_tokens", "output_tokens", "cost_nanousd"]
        # One that was left at its very end is whole for the upstream alone.
        if 0 < theirs.get("completed", 0) - ours["completed"] <= ours["left"]:
            fields = ["requests"]
        if 0 < ours["requests"] - theirs.get("requests", 0) <= ours["left_early"]:
            fields.remove("requests")  # left before the upstream had read it
        for field in fields:
            if theirs.get(field, 0) != ours[field]:
                yield f"{model}: {field} {ours[field]} in the ledger, the upstream says {theirs.get(field, 0)}"
    twice = Counter(row["upstream_id"] for row in books.attempts if row["upstream_id"])
    yield from (f"upstream id {name} stands {count} times" for name, count in twice.items() if count > 1)


def _joined(books: Books) -> Iterable[str]:
    """What a request took is what its attempts took."""
    spent: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    asked: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    unknown = {row["request_id"] for row in books.requests if not row["priced"]}
    for row in books.attempts:
        if row["purpose"] in _OF_THE_REQUEST:
            mine = spent[row["tenant"], row["request_id"]]
            mine.update({name: row[name] for name in _SUMS})
            mine["attempts"] += 1
    for row in books.requests:
        mine = asked[row["tenant"], row["request_id"]]
        mine.update({name: row[name] for name in _SUMS})
        mine["attempts"] += 0 if row["shared_with"] or row["replayed"] else row["attempts"]
    for key in sorted(spent.keys() | asked.keys()):
        if spent[key] != asked[key] and +spent[key] != +asked[key] and key[1] not in unknown:
            yield f"{key}: attempts took {dict(spent[key])}, the request's row says {dict(asked[key])}"


def _usage(books: Books) -> Iterable[str]:
    mine: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for row in books.requests:
        book = mine[row["tenant"], row["model"]]
        book["requests"] += 1
        book.update({name: row[name] for name in (*_SUMS, "cache_savings_nanousd", "routing_savings_nanousd")})
    for said in books.usage:
        ours = mine.pop(tuple(said.keys), Counter())
        theirs = Counter({name: getattr(said.usage, f"{name}_tokens") for name in (*_INPUT, *_OUTPUT)})
        theirs["requests"], theirs["cost_nanousd"] = said.requests, said.cost.nanousd
        theirs["cache_savings_nanousd"] = said.cache_savings_nanousd
        theirs["routing_savings_nanousd"] = said.routing_savings_nanousd
        if any(ours[name] != theirs[name] for name in ours.keys() | theirs.keys()):
            yield f"GetUsage of {tuple(said.keys)}: {dict(theirs)}, the rows {dict(ours)}"
    yield from (f"GetUsage says nothing of {key}" for key in mine)


def _told(books: Books) -> Iterable[str]:
    """Every caller has a row that says what the caller was told."""
    rows: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in books.requests:
        rows[row["tenant"], row["request_id"]].append(row)
    callers: dict[tuple[str, str], list[Told]] = defaultdict(list)
    for told in books.told:
        callers[told.tenant, told.request_id].append(told)
    led = {(row["tenant"], row["shared_with"]) for row in books.requests}
    for key, those in callers.items():
        found = rows.pop(key, [])
        missing = len(those) - len(found)
        # A call that is given up may never arrive, or arrive too late to be admitted.
        if missing > sum(told.left or told.code in _GIVEN_UP for told in those) or missing < 0:
            yield f"{key}: {len(those)} callers ({[told.code for told in those]}), {len(found)} rows"
        # Who leads and takes no restart is told less than those who go on with its answer.
        if len(those) == len(found) == 1 and key not in led:
            yield from _same(those[0], found[0])
    yield from (f"{key}: a row of nobody" for key in rows)


def _same(told: Told, row: Row) -> Iterable[str]:
    if told.code in ("OK", "200") and row["error"]:
        yield f"{told.request_id}: the caller was told {told.code}, the row says {row['error']}"
    if told.code not in ("OK", "200", "cut") and not told.left and not row["error"] and told.code not in _GIVEN_UP:
        yield f"{told.request_id}: the caller was told {told.code}, the row says that it was answered"
    decision = told.decision
    if decision is None or told.code not in ("OK", "LEFT"):
        if told.code == "OK" and told.cost_nanousd not in (None, row["cost_nanousd"]):
            yield f"{told.request_id}: the caller was told {told.cost_nanousd}, the row says {row['cost_nanousd']}"
        return
    usage = decision.usage
    said = {
        "model": decision.model,
        "attempts": len(decision.attempts),
        "fallbacks": decision.fallbacks,
        "escalations": decision.escalations,
        "finish": chat_pb2.FinishReason.Name(told.end or chat_pb2.FINISH_REASON_UNSPECIFIED)
        .removeprefix("FINISH_REASON_")
        .lower(),
        **{name: getattr(usage, f"{name}_tokens") for name in (*_INPUT, *_OUTPUT)},
        "cost_nanousd": decision.cost.nanousd,
        "cache_savings_nanousd": 0 if decision.shared_with_request_id else decision.savings.cache_nanousd,
        "shared_with": decision.shared_with_request_id,
    }
    other = {name: (value, row[name]) for name, value in said.items() if value != row[name]}
    if other and decision.cost.priced:
        yield f"{told.request_id}: told and booked differ: {other}"
    if sum(each.cost.nanousd for each in decision.attempts) != decision.cost.nanousd:
        yield f"{told.request_id}: the attempts of the Decision are not its cost"


def _provider_metrics(attempts: Iterable[Row], samples: Iterable[Sample]) -> Iterable[str]:
    ours: Counter[tuple[str, ...]] = Counter()
    for row in attempts:
        model, source = row["model"], "estimated" if row["estimated"] else "reported"
        ours["attempts", model, row["endpoint"], row["purpose"], row["outcome"]] += 1
        ours["cost_nanousd", model, source] += row["cost_nanousd"]
        ours["unpriced_attempts", model] += not row["priced"]
        for name in (*_INPUT, *_OUTPUT):
            ours["tokens", model, name, source] += row[name]
    labels = {
        "attempts": ("model", "endpoint", "purpose", "outcome"),
        "cost_nanousd": ("model", "source"),
        "unpriced_attempts": ("model",),
        "tokens": ("model", "class", "source"),
    }
    return _counted("omnisphere_providers_", labels, ours, samples)


def _router_metrics(requests: Iterable[Row], samples: Iterable[Sample]) -> Iterable[str]:
    ours: Counter[tuple[str, ...]] = Counter()
    for row in requests:
        if row["shared_with"] or row["replayed"]:
            continue
        ours["requests", row["strategy"], row["task"], row["cache"], row["error"]] += 1
        ours["cost_nanousd", row["model"]] += row["cost_nanousd"]
        ours["cache_savings_nanousd",] += row["cache_savings_nanousd"]
        ours["routing_savings_nanousd",] += max(0, row["routing_savings_nanousd"])
        ours["fallbacks", row["model"]] += row["fallbacks"]
        ours["escalations", row["model"]] += row["escalations"]
    labels = {
        "requests": ("strategy", "task", "cache", "reason"),
        "cost_nanousd": ("model",),
        "cache_savings_nanousd": (),
        "routing_savings_nanousd": (),
        "fallbacks": ("model",),
        "escalations": ("model",),
    }
    shared = sum(bool(row["shared_with"] or row["replayed"]) for row in requests)
    joined = sum(value for name, _, value in samples if name == "omnisphere_router_joined_requests_total")
    found = list(_counted("omnisphere_router_", labels, ours, samples))
    return [*found, *([f"joined: {joined:.0f} in the metrics, {shared} rows"] if joined != shared else [])]


def _counted(
    prefix: str, labels: Mapping[str, tuple[str, ...]], ours: Counter[tuple[str, ...]], samples: Iterable[Sample]
) -> Iterable[str]:
    theirs: Counter[tuple[str, ...]] = Counter()
    for name, said, value in samples:
        short = name.removeprefix(prefix).removesuffix("_total")
        if name.startswith(prefix) and short in labels:
            theirs[(short, *(said[label] for label in labels[short]))] += int(value)
    for key in sorted(ours.keys() | theirs.keys()):
        if ours[key] != theirs[key]:
            yield f"{prefix}{key}: {theirs[key]} in the metrics, {ours[key]} in the rows"
