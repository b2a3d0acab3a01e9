"""The dashboard and the alerts ask for metrics and labels that a mesh at work really shows."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import urllib.request
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import grpc
import pytest
import yaml

from omnisphere.chat.v1 import chat_pb2
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import BY_REASON, ServiceError
from services.router.ledger import CACHE_WORDS
from tests.mesh.harness import Mesh, asking, connected, started
from tests.mesh.metric_pages import metric_pages, samples_of
from tests.mesh.promql import OBSERVABILITY, Expression, alerts, dashboard, expressions
from tests.mesh.test_complete import until_hit
from tools import dashboard as made
from tools.metric_tables import tables

pytestmark = pytest.mark.slow

EXPRESSIONS = expressions()
METRICS = {metric.name: metric for metrics in tables().values() for metric in metrics}
SERVICES = {"router", "cache", "context", "providers"}
# prometheus.yaml and Prometheus itself add these to every sample.
TARGET_LABELS = {"service", "instance", "job"}
# Not on any page of ours: Prometheus makes it.
FROM_PROMETHEUS = {"up"}
REASONS = {*BY_REASON, ""}
# The values that a matcher may name.
VALUES: Mapping[str, set[str]] = {
    "reason": REASONS,
    "error_type": REASONS,
    "outcome": set(CACHE_WORDS.values()),
    "cache": set(CACHE_WORDS.values()),
    "kind": set(chat_pb2.Degradation.Kind.keys()),
    "code": {code.name for code in grpc.StatusCode},
    "service": SERVICES,
}
PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(PROMTOOL is None, reason="promtool is not here (apt-get install prometheus)")


# Everything that leaves endpoints alone for a while, but not for so long that the traffic would have to wait.
RESTLESS = {"OMNISPHERE_PROVIDERS_ATTEMPTS": "2", "OMNISPHERE_PROVIDERS_LONGEST_REST": "1ms"}


async def traffic(mesh: Mesh) -> None:
    """A little of everything that a panel shows."""
    await mesh.complete("Translate 'dashboard' into French.")
    await until_hit(mesh, "Translate 'dashboard' into French.")
    await mesh.stream(pb.StreamCompleteRequest(conversation=asking("Summarise the news in one sentence.")))
    await mesh.fault(kind="status", status=503, model="deepseek-v3.2", times=2)
    assert (await mesh.complete("Who takes over?")).decision.fallbacks == 1
    for model in ("deepseek-v3.2", "gpt-5-mini"):
        await mesh.fault(kind="status", status=401, model=model)
    for model in ("", "no-such-model"):
        with pytest.raises(ServiceError):
            await mesh.complete("Does anybody answer?", model=model)
    await asyncio.gather(*(mesh.complete("Write a function that shares an answer.") for _ in range(4)))
    await mesh.complete("Climb the ladder.", options=pb.RequestOptions(policy="cascade"))
    await asyncio.to_thread(_listed_over_http, mesh.base_url)
    long = asking(*[f"Turn {n}: " + "the river runs past the old mill. " * 20 for n in range(101)])
    await mesh.call(mesh.router.Complete, pb.CompleteRequest(conversation=long, model="sim-tiny-8k"))


def _listed_over_http(base: str) -> None:
    with urllib.request.urlopen(f"{base}/v1/models", timeout=5) as response:  # noqa: S310 - a mesh of our own
        assert response.status == 200


@pytest.fixture(scope="module")
async def pages(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, str]]:
    """What four processes show after the traffic."""
    async with started(tmp_path_factory.mktemp("observed"), **RESTLESS) as running, connected(running) as mesh:
        await traffic(mesh)
        yield await metric_pages(running)


@pytest.fixture(scope="module")
def shown(pages: dict[str, str]) -> dict[str, set[str]]:
    """The labels of each name of a sample."""
    found: dict[str, set[str]] = defaultdict(set)
    for sample in samples_of(pages.values()):
        found[sample.name] |= sample.labels.keys()
    return found


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda expression: expression.where)
def test_an_expression_asks_for_what_a_mesh_shows(expression: Expression, shown: dict[str, set[str]]):
    for asked in expression.asked():
        if asked.name in FROM_PROMETHEUS:
            labels = set[str]()
        else:
            assert asked.name in shown, f"nobody shows {asked.name}"
            labels = shown[asked.name]
        assert asked.labels <= labels | TARGET_LABELS, f"{asked.name} has no {asked.labels - labels - TARGET_LABELS}"


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda expression: expression.where)
def test_a_matcher_names_values_that_there_are(expression: Expression):
    for asked in expression.asked():
        for label, value in asked.values:
            assert value in VALUES[label], f"{label} is never {value!r}"


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda expression: expression.where)
def test_what_a_legend_or_an_alert_says_is_in_the_result(expression: Expression):
    target = TARGET_LABELS if expression.asked()[0].name in FROM_PROMETHEUS else set()
    assert expression.shown <= expression.groups() | target


def test_every_metric_is_on_the_dashboard():
    series = {asked.name for expression in EXPRESSIONS for asked in expression.asked()}
    assert [name for name, metric in METRICS.items() if series.isdisjoint(metric.series)] == []


@pytest.mark.parametrize("spoiled", ["nobody_shows_this_total", "omnisphere_router_requests_total{model=''}"])
def test_the_check_bites(spoiled: str, shown: dict[str, set[str]]):
    with pytest.raises(AssertionError):
        test_an_expression_asks_for_what_a_mesh_shows(Expression("spoiled", spoiled, frozenset()), shown)


def test_the_dashboard_is_current_and_can_be_imported_anywhere():
    assert made.PATH.read_text(encoding="utf-8") == made.text(), "run `make docs`"
    document = dashboard()
    assert document["id"] is None
    sources = {json.dumps(part["datasource"]) for panel in document["panels"] for part in _with_source(panel)}
    assert sources == {'{"type": "prometheus", "uid": "${DS_PROMETHEUS}"}'}
    assert [variable["name"] for variable in document["templating"]["list"]] == ["DS_PROMETHEUS"]
    ids = [panel["id"] for panel in document["panels"]]
    assert len(set(ids)) == len(ids)
    assert all(panel["description"] is not None for panel in document["panels"] if panel["type"] != "row")


def test_panels_do_not_overlap():
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert taken.isdisjoint(cells), panel["title"]
        taken |= cells


def test_the_scrape_examples_name_the_ports_and_annotations_that_there_are():
    local = yaml.safe_load((OBSERVABILITY / "prometheus.yaml").read_text(encoding="utf-8"))
    targets = {
        entry["labels"]["service"]: entry["targets"]
        for job in local["scrape_configs"]
        for entry in job["static_configs"]
    }
    base = OBSERVABILITY.parent / "k8s/base"
    cluster = (OBSERVABILITY / "prometheus-kubernetes.yaml").read_text(encoding="utf-8")
    assert targets.keys() == SERVICES
    for service in SERVICES:
        text = (base / f"{service}.yaml").read_text(encoding="utf-8")
        (pod,) = (
            thing["spec"]["template"]["metadata"] for thing in yaml.safe_load_all(text) if thing["kind"] == "Deployment"
        )
        assert targets[service] == [f"127.0.0.1:{pod['annotations']['prometheus.io/port']}"]
        assert pod["labels"]["app.kubernetes.io/name"] == service
        for name in pod["annotations"]:
            if name.startswith("prometheus.io/"):
                assert "__meta_kubernetes_pod_annotation_" + name.replace(".", "_").replace("/", "_") in cluster
    assert {rule["labels"]["severity"] for rule in alerts()} == {"warning", "critical"}


@needs_promtool
def test_promtool_takes_the_rules_the_configuration_and_every_expression(tmp_path: Path):
    rules = [{"record": f"omnisphere:panel{place}", "expr": each.text} for place, each in enumerate(EXPRESSIONS)]
    every = tmp_path / "expressions.yaml"
    every.write_text(yaml.safe_dump({"groups": [{"name": "every", "rules": rules}]}), encoding="utf-8")
    _promtool("check", "rules", "omnisphere-alerts.yaml", str(every))
    _promtool("check", "config", "prometheus.yaml")


@needs_promtool
def test_promtool_finds_nothing_to_say_about_the_pages(pages: dict[str, str]):
    for page in pages.values():
        _promtool("check", "metrics", page=page)


def _with_source(panel: dict[str, object]) -> list[dict[str, object]]:
    targets = panel.get("targets", [])
    assert isinstance(targets, list)
    return [panel, *targets] if targets else []


def _promtool(*arguments: str, page: str = "") -> None:
    done = subprocess.run(
        [str(PROMTOOL), *arguments], cwd=OBSERVABILITY, input=page, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
