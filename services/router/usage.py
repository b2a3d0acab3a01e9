"""GetUsage: what a tenant used, spent and saved, added up from the request ledger."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from google.protobuf.timestamp_pb2 import Timestamp

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis import call_context
from services.chassis.errors import InvalidRequest, NotFound, PeerUnavailable, Unauthenticated
from services.ledger.file import LedgerFailed
from services.ledger.table import Row, Value
from services.router.ledger import REQUESTS, TOKEN_COLUMNS

_KEYS: Mapping[pb.UsageGrouping.ValueType, str] = {
    pb.USAGE_GROUPING_MODEL: "model",
    pb.USAGE_GROUPING_TASK: "task",
    pb.USAGE_GROUPING_DAY: "strftime('%Y-%m-%d', at / 1000, 'unixepoch')",
    pb.USAGE_GROUPING_TENANT: "tenant",
}
_SUMS = (*TOKEN_COLUMNS, "cost_nanousd", "cache_savings_nanousd", "routing_savings_nanousd")

# https://protobuf.dev/reference/protobuf/google.protobuf/#timestamp: the years 1 to 9999.
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799


class Readable(Protocol):
    """A ledger that answers queries. Raises LedgerFailed."""

    async def read(self, query: str, values: tuple[Value, ...]) -> list[Row]:
        """The rows."""


class Usage:
    """Adds up the ledger of this router. `all_tenants`: whether callers here may see each other's figures."""

    def __init__(self, ledger: Readable | None, *, all_tenants: bool) -> None:
        self._ledger = ledger
        self._all_tenants = all_tenants

    async def get(self, request: pb.GetUsageRequest) -> pb.GetUsageResponse:
        """Rows in the order of their keys. Raises InvalidRequest, Unauthenticated; NotFound where the ledger is off,
        PeerUnavailable where it cannot be read, or does not take what is to be in it.
        """
        groups = list(request.group_by)
        _check(groups)
        by_tenant = pb.USAGE_GROUPING_TENANT in groups
        if by_tenant and not self._all_tenants:
            raise Unauthenticated(problem="the usage of all tenants is for operators")
        if self._ledger is None:
            raise NotFound(name="the request ledger")
        query, values = _query(request, groups, None if by_tenant else call_context.current().caller.tenant)
        try:
            rows = await self._ledger.read(query, values)
        except LedgerFailed as failure:
            raise PeerUnavailable(peer="ledger") from failure
        return pb.GetUsageResponse(rows=[_row(row, len(groups)) for row in rows if row[len(groups)]])


def _check(groups: list[pb.UsageGrouping.ValueType]) -> None:
    for at, group in enumerate(groups):
        if group not in _KEYS:
            raise InvalidRequest(field=f"group_by[{at}]", problem="is not a known grouping")
        if group in groups[:at]:
            raise InvalidRequest(field=f"group_by[{at}]", problem="is named twice")


def _query(
    request: pb.GetUsageRequest, groups: list[pb.UsageGrouping.ValueType], tenant: str | None
) -> tuple[str, tuple[Value, ...]]:
    keys = [_KEYS[group] for group in groups]
    sums = [f"coalesce(sum({name}), 0)" for name in _SUMS]
    columns = [*keys, "count(*)", "coalesce(max(estimated), 0)", "coalesce(min(priced), 1)", *sums]
    conditions, values = ["1"], list[Value]()
    if request.HasField("since"):
        conditions.append("at >= ?")
        values.append(_milliseconds(request.since, "since"))
    if request.HasField("until"):
        until = _milliseconds(request.until, "until")
        if request.HasField("since") and until < _milliseconds(request.since, "since"):
            raise InvalidRequest(field="until", problem="is before since")
        conditions.append("at < ?")
        values.append(until)
    if tenant is not None:
        conditions.append("tenant = ?")
        values.append(tenant)
    places = ", ".join(str(place + 1) for place in range(len(keys)))
    query = f"SELECT {', '.join(columns)} FROM {REQUESTS.name} WHERE {' AND '.join(conditions)}"  # noqa: S608 - all ours
    return query + (f" GROUP BY {places} ORDER BY {places}" if keys else ""), tuple(values)


def _milliseconds(moment: Timestamp, field: str) -> int:
    if not (_FIRST_SECOND <= moment.seconds <= _LAST_SECOND and 0 <= moment.nanos < 1_000_000_000):
        raise InvalidRequest(field=field, problem="is not a moment")
    return moment.seconds * 1000 + moment.nanos // 1_000_000


def _row(row: Row, keys: int) -> pb.UsageRow:
    requests, estimated, priced, *sums = (int(value or 0) for value in row[keys:])
    *tokens, cost, cache_savings, routing_savings = sums
    usage = chat_pb2.Usage(estimated=bool(estimated))
    for name, value in zip(TOKEN_COLUMNS, tokens, strict=True):
        setattr(usage, f"{name}_tokens", value)
    return pb.UsageRow(
        keys=[str(key) for key in row[:keys]],
        requests=requests,
        usage=usage,
        cost=chat_pb2.Cost(nanousd=cost, priced=bool(priced)),
        cache_savings_nanousd=cache_savings,
        routing_savings_nanousd=routing_savings,
    )
