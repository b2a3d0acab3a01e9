"""A cascade over recorded outcomes, through a whole mesh, goes the way that bench.routing reckons."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="recorded outcomes need pyarrow")
pytest.importorskip("lightgbm", reason="an artefact is trained with lightgbm")

from bench.routing import mesh as rehearsal
from bench.routing.recorded import asked, learned_from
from bench.score_routing import truths
from omnisphere.router.v1 import router_service_pb2 as pb
from services.chassis.errors import ProviderRejected
from services.training.train import train
from tests.mesh.harness import Mesh, as_four_processes, in_one_process
from tests.recorded import Row, Said, write

# Probability of a right answer to sums, and to questions of history.
RIGHT = {"small": (0.9, 0.35), "medium": (0.9, 0.6), "large": (0.96, 0.92)}
PRICES = {"small": (0.1, 0.1), "medium": (0.25, 0.5), "large": (3.0, 15.0)}
TEXTS = ("It is {}.", '```json\n{{"reasoning": "Counted 3 times.", "answer": "{}"}}\n```', "So we have \\boxed{{{}}}.")


def world(rows: int, seed: int) -> list[Row]:
    """Prompts that ask for 1, by two tasks; whoever errs says something from 2 to 8, each model in its own way."""
    chance = np.random.default_rng(seed)
    made = []
    for number in range(rows):
        history = bool(chance.random() < 0.5)
        one, other = chance.integers(10, 99, 2)
        king = ("Henry", "Louis", "Otto", "Charles")[int(one) % 4]
        prompt = f"In which year did king {king} win battle number {other} of war {one}, counted from his birth?"
        if not history:
            prompt = f"What is left of the sum of {one} apples and {other} apples once {one + other - 1} are eaten?"
        said = {}
        for (model, right), text in zip(RIGHT.items(), TEXTS, strict=True):
            good = bool(chance.random() < right[history])
            answer = 1 if good else int(chance.integers(2, 9))
            said[model] = Said(text.format(answer), str(answer), float(good), int(chance.integers(20, 60)))
        made.append(Row(f"{seed}-{number}", f"{prompt} ({number})", "history" if history else "sums", said))
    return made


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """(a folder to learn from, one to be judged on, the artefact's environment)."""
    folder = tmp_path_factory.mktemp("recorded")
    learn, judge = folder / "learn", folder / "judge"
    for part, rows, seed in ((learn, 300, 3), (judge, 40, 4)):
        part.mkdir()
        write(part, "made", world(rows, seed), PRICES)
    artefact = train(learned_from(learn, "made", inner=False)[0], {"made": "by a test"})
    assert artefact.escalation is not None
    (folder / "artefact.npz").write_bytes(artefact.dump())
    (folder / "routes.toml").write_text(rehearsal.policy(artefact))
    environ = {
        "OMNISPHERE_SIMULATOR_REPLAY_OUTCOMES": str(judge),
        "OMNISPHERE_ROUTER_ARTEFACT": str(folder / "artefact.npz"),
        "OMNISPHERE_ROUTER_ROUTES": str(folder / "routes.toml"),
    }
    return learn, judge, artefact, environ


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("topology", [in_one_process, as_four_processes])
async def test_the_mesh_goes_the_way_that_was_reckoned(tmp_path, recorded, topology):
    learn, judge, artefact, environ = recorded
    prompts, answers = asked(judge, "made", inner=False)
    truth = truths(learn, judge, "made")["made"]
    async with topology(tmp_path, **environ) as mesh:
        walked = [rehearsal.walked(await decided(mesh, prompt.text)) for prompt in prompts]
    found = rehearsal.compared(walked, rehearsal.reckoned(artefact, prompts, answers, truth), truth)
    assert found["another_way"].total() == 0
    assert found["apart"]["quality"] == 0
    assert abs(found["apart"]["usd_per_1000"]) < 1e-6
    assert len({one.calls for one in walked}) > 1
    assert found["mesh"]["saving"] > 0.2


async def test_a_prompt_that_was_not_recorded_is_an_error_and_not_an_answer(tmp_path, recorded):
    async with in_one_process(tmp_path, **recorded[-1]) as mesh:
        with pytest.raises(ProviderRejected) as caught:
            await decided(mesh, "Who was never asked?")
    assert caught.value.metadata["provider_type"] == "not_recorded"


async def decided(mesh: Mesh, text: str):
    options = pb.RequestOptions(policy=rehearsal.POLICY)
    options.cache.no_cache = True
    return (await mesh.complete(text, options=options)).decision
