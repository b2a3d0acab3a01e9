"""A model that fails is replaced where another one may do better, and only there."""

from __future__ import annotations

from datetime import timedelta

import pytest

from omnisphere.providers.v1 import attempt_pb2
from services.chassis.errors import (
    ContentFiltered,
    NoCandidateLeft,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnavailable,
)
from tests.mesh.harness import Mesh


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
async def test_after_a_failure_the_fallback_answers(mesh: Mesh, status: int) -> None:
    await mesh.fault(kind="status", status=status, model="deepseek-v3.2")
    response = await mesh.complete(f"Who answers after {status}?")
    decision = response.decision
    assert decision.model == "gpt-5-mini"
    assert decision.fallbacks == 1
    first, second = decision.attempts
    assert (first.model, first.http_status) == ("deepseek-v3.2", status)
    assert first.outcome == attempt_pb2.ATTEMPT_OUTCOME_FAILED
    assert first.cost.nanousd == 0
    assert second.outcome == attempt_pb2.ATTEMPT_OUTCOME_OK
    assert response.cost == second.cost


async def test_a_reset_connection_is_a_failure_like_others(mesh: Mesh) -> None:
    await mesh.fault(kind="reset", model="deepseek-v3.2")
    response = await mesh.complete("Who answers after a reset?")
    assert response.decision.attempts[0].error_reason == "PROVIDER_UNAVAILABLE"
    assert response.decision.model == "gpt-5-mini"


async def test_when_all_fail_the_error_names_them_and_the_shortest_wait(mesh: Mesh) -> None:
    await mesh.fault(kind="status", status=429, retry_after=7, model="deepseek-v3.2")
    await mesh.fault(kind="status", status=503, retry_after=3, model="gpt-5-mini")
    with pytest.raises(NoCandidateLeft) as caught:
        await mesh.complete("Does anybody answer?")
    named = "deepseek-v3.2:PROVIDER_RATE_LIMITED,gpt-5-mini:PROVIDER_UNAVAILABLE"
    assert caught.value.metadata == {"attempts": named}
    assert caught.value.retry_after == timedelta(seconds=3)


async def test_a_named_model_fails_with_its_own_error(mesh: Mesh) -> None:
    await mesh.fault(kind="status", status=429, retry_after=2, model="gpt-5")
    with pytest.raises(ProviderRateLimited) as limited:
        await mesh.complete("Only you: limited", model="gpt-5")
    assert limited.value.retry_after == timedelta(seconds=2)
    await mesh.fault(kind="status", status=500, model="gpt-5")
    with pytest.raises(ProviderUnavailable) as failed:
        await mesh.complete("Only you: broken", model="gpt-5")
    assert failed.value.metadata["provider"] == "simulator"
    assert failed.value.metadata["status"] == "500"


@pytest.mark.parametrize(
    ("status", "kind", "error"), [(400, "status", ProviderRejected), (0, "content_filter", ContentFiltered)]
)
async def test_a_refused_request_goes_to_no_other_model(
    mesh: Mesh, status: int, kind: str, error: type[Exception]
) -> None:
    before = await mesh.upstream_requests()
    await mesh.fault(kind=kind, model="deepseek-v3.2", **({"status": status} if status else {}))
    with pytest.raises(error):
        await mesh.complete(f"Refuse this by {kind}")
    assert await mesh.upstream_requests() == before + 1
