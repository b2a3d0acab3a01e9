"""Rows of usage as a table, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.settings import StartError
from services.cli import usage

NOW = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
FIELDS = [
    "requests",
    "input_uncached_tokens",
    "input_cache_read_tokens",
    "input_cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "tokens_estimated",
    "cost_nanousd",
    "priced",
    "cache_savings_nanousd",
    "routing_savings_nanousd",
    "savings_estimated",
]


def row(*keys: str, cost: int = 1_000_000, priced: bool = True, **tokens: int) -> pb.UsageRow:
    return pb.UsageRow(
        keys=keys,
        requests=1_200,
        usage=chat_pb2.Usage(**{"input_uncached_tokens": 34_567, "output_tokens": 89, **tokens}),  # type: ignore[arg-type]
        cost=chat_pb2.Cost(nanousd=cost, priced=priced),
        cache_savings_nanousd=2_000_000,
        routing_savings_nanousd=-3_000_000,
    )


def table(rows: list[pb.UsageRow], by: list[str], width: int = 160) -> str:
    out = io.StringIO()
    usage.print_table(Console(file=out, width=width, soft_wrap=True), rows, by, title="Usage")
    return out.getvalue()


def test_groupings_are_repeated_or_separated_by_commas():
    assert usage.read_groupings(["model, day", "task"]) == ["model", "day", "task"]
    assert usage.read_groupings([]) == []


@pytest.mark.parametrize(("said", "problem"), [(["hour"], "is none of model"), (["day,day"], "is named twice")])
def test_a_grouping_that_makes_no_sense_is_named(said: list[str], problem: str):
    with pytest.raises(StartError, match=f"--by: '(hour|day)' {problem}"):
        usage.read_groupings(said)


def test_every_grouping_of_the_contract_can_be_said():
    assert set(usage.GROUPINGS.values()) == set(pb.UsageGrouping.values()) - {pb.USAGE_GROUPING_UNSPECIFIED}


def test_the_question_has_the_bounds_that_were_given():
    asked = usage.question(["tenant"], since="7d", until="", now=NOW)
    assert asked.since.ToDatetime(UTC) == NOW - timedelta(days=7)
    assert not asked.HasField("until")
    assert usage.title_of(asked) == "Usage of all tenants since 2026-11-17 12:30 UTC"
    assert usage.title_of(pb.GetUsageRequest()) == "Usage of the caller's tenant"


@pytest.mark.parametrize(
    ("since", "until", "option"),
    [("soon", "", "--since: 'soon'"), ("", "later", "--until: 'later'"), ("1d", "2d", "--since: is not before")],
)
def test_a_bound_that_makes_no_sense_is_named(since: str, until: str, option: str):
    with pytest.raises(StartError, match=option):
        usage.question([], since=since, until=until, now=NOW)


def test_json_is_an_object_a_line_with_integers_and_the_same_fields_in_each():
    lines = usage.as_json([row("m-1", "d-1"), row("m-2", "d-1", priced=False)], ["model", "day"]).splitlines()
    first, second = (json.loads(line) for line in lines)
    assert list(first) == list(second) == ["model", "day", *FIELDS]
    assert (first["model"], first["cost_nanousd"], first["routing_savings_nanousd"]) == ("m-1", 1_000_000, -3_000_000)
    assert (first["priced"], second["priced"], first["savings_estimated"]) == (True, False, True)


def test_csv_has_a_header_also_without_rows_and_plain_numbers():
    assert usage.as_csv([], ["task"]) == ",".join(["task", *FIELDS]) + "\n"
    (read,) = csv.DictReader(io.StringIO(usage.as_csv([row('one, "two"')], ["task"])))
    assert (read["task"], read["input_uncached_tokens"], read["priced"]) == ('one, "two"', "34567", "true")


def test_the_table_sums_up_and_says_what_savings_are_not():
    said = table([row("m-1"), row("")], ["model"])
    total = next(line for line in said.splitlines() if line.startswith("total"))
    assert total.split() == ["total", "2,400", "69,134", "178", "$0.002000", "$0.004000", "$-0.006000"]
    assert "Savings are estimates" in said
    assert "say nothing about quality" in said
    assert any(line.startswith("- ") for line in said.splitlines())


def test_kinds_of_tokens_that_nobody_used_have_no_column():
    assert "reasoning" not in table([row("m-1")], ["model"])
    said = table([row("m-1", reasoning_tokens=7, input_cache_read_tokens=8), row("m-2")], ["model"])
    assert "reasoning" in said
    assert "read" in said
    assert "write" not in said


def test_what_has_no_price_is_marked_in_its_row_and_in_the_total():
    said = table([row("m-1"), row("m-2", cost=0, priced=False)], ["model"])
    assert "$0 + unpriced" in said
    assert "$0.001000 + unpriced" in said
    assert "it is not free" in said
    assert "unpriced" not in table([row("m-1")], ["model"])


def test_tokens_that_were_counted_here_are_marked():
    estimated = row("m-1")
    estimated.usage.estimated = True
    said = table([estimated], ["model"])
    assert "~34,567" in said
    assert "counted here" in said


def test_without_groupings_there_is_the_total_alone():
    lines = table([row()], []).splitlines()
    assert sum("1,200" in line for line in lines) == 1
    assert "total" in table([], [])


@pytest.mark.parametrize("width", [40, 80, 160])
def test_on_a_narrow_terminal_words_are_cut_and_figures_are_not(width: int):
    said = table([row("code_generation", "gemini-3.1-pro-preview", reasoning_tokens=7)], ["task", "model"], width=width)
    for figure in ("1,200", "34,567", "89", "7", "$0.001000", "$0.002000", "$-0.003000"):
        assert said.count(figure) >= 2, figure
    assert ("gemini-3.1-pro-preview" in said) == (width == 160)


def test_eighty_columns_are_enough_for_models_and_their_figures():
    said = table([row("gemini-3.1-pro-preview")], ["model"], width=80)
    assert all(len(line) <= 80 for line in said.splitlines() if "Savings" not in line)
    assert "gemini-3.1-pro-preview" in said
