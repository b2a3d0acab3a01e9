"""The models that can be asked for, in a form that OpenAI's and Anthropic's clients both read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from omnisphere.model.v1 import model_pb2
from services.router.admit import AUTO
from services.router.edge.dialect import POLICY
from services.router.edge.errors import Refused
from services.router.edge.values import Json

# Our catalogue has no days of birth; both formats want one.
_UNKNOWN_DAY = "1970-01-01T00:00:00Z"
_OURS = "omnisphere"


def listed(models: Sequence[model_pb2.Model], policies: Iterable[str]) -> Json:
    """The body of GET /v1/models: `auto`, policies, ids and aliases of what can be called."""
    rows = _rows(models, policies)
    names = [row["id"] for row in rows]
    return {"object": "list", "data": rows, "has_more": False, "first_id": names[0], "last_id": names[-1]}


def one(name: str, models: Sequence[model_pb2.Model], policies: Iterable[str]) -> Json:
    """The body of GET /v1/models/{id}. Raises Refused."""
    for row in _rows(models, policies):
        if row["id"] == name:
            return row
    raise Refused(404, "no model has this name, or none that can be called here", code="model_not_found", param="model")


def _rows(models: Sequence[model_pb2.Model], policies: Iterable[str]) -> list[Json]:
    rows = [_row(AUTO, _OURS, {"policy": AUTO})]
    rows += [_row(f"{POLICY}{name}", _OURS, {"policy": name}) for name in sorted(policies)]
    for model in models:
        if not model.endpoints:
            continue
        rows.append(_row(model.id, model.vendor, _about(model), model))
        rows += [_row(alias, model.vendor, {"alias_of": model.id}, model) for alias in model.aliases]
    return rows


def _row(name: str, owner: str, about: Json, model: model_pb2.Model | None = None) -> Json:
    """One row; without a model it is a policy, whose limits are those of the model that it chooses."""
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": owner,
        "type": "model",
        "display_name": name,
        "created_at": _UNKNOWN_DAY,
        "lifecycle": "active",
        "max_input_tokens": None if model is None else model.window_tokens,
        "max_tokens": None if model is None else model.max_output_tokens,
        _OURS: about,
    }


def _about(model: model_pb2.Model) -> Json:
    prices = model.prices
    return {
        "tier": model_pb2.Tier.Name(model.tier).removeprefix("TIER_").lower(),
        "window_tokens": model.window_tokens,
        "max_output_tokens": model.max_output_tokens,
        "capabilities": [
            model_pb2.Capability.Name(one).removeprefix("CAPABILITY_").lower() for one in model.capabilities
        ],
        "input_usd_per_mtok": prices.input_usd_per_mtok if model.HasField("prices") else None,
        "output_usd_per_mtok": prices.output_usd_per_mtok if model.HasField("prices") else None,
        "simulated": model.simulated,
    }
