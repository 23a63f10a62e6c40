"""What is foretold of a night is what the night then does. Times are not asserted."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nights import make_home, talk

from align_agent.config import Config
from align_agent.distill.select import Selection
from align_agent.errors import InputError
from align_agent.night.estimate import estimate
from align_agent.night.exam import asked
from align_agent.night.phases import DRAFT_STEPS, draft_batch, draft_passes
from align_agent.night.progress import Silent
from align_agent.night.run import run_night
from align_agent.store import Store


def test_the_steps_foretold_are_the_steps_that_are_made(
    tmp_path: Path, tiny_model_dir: Path
) -> None:
    home = make_home(
        tmp_path, tiny_model_dir, distill={"rollouts": "logged", "epochs": 2, "heldout_share": 0.3}
    )
    talk(home)
    found = estimate(home)
    assert sum(found.seconds.values()) > 0
    assert found.memory_gb > 0
    assert set(found.seconds) == {"loading", "preflight", "draft", "rollouts", "train", "gate"}
    run = run_night(home, progress=Silent())
    with Store.open(home.database) as store:
        steps = [row for row in store.runs.metrics(run.id) if "loss" in row]
    assert found.steps == len(steps)


def test_nothing_to_learn_is_not_foretold(tmp_path: Path, tiny_model_dir: Path) -> None:
    with pytest.raises(InputError, match="nothing to learn"):
        estimate(make_home(tmp_path, tiny_model_dir))


@given(lessons=st.integers(1, 600), asked=st.integers(1, 20), batch=st.integers(1, 64))
def test_a_draft_takes_enough_steps_and_no_pass_too_many(lessons, asked, batch):
    settings = replace(Config().distill, draft_epochs=asked, batch_size=batch)
    steps = math.ceil(lessons / draft_batch(settings))
    passes = draft_passes(settings, lessons)
    assert passes * steps >= DRAFT_STEPS
    assert passes == asked or (passes - 1) * steps < DRAFT_STEPS


def test_probes_that_are_known_are_not_counted_again():
    chosen = Selection()
    first, later = (
        asked(Config(), chosen, champion=True, rules=True, probed=known) for known in (False, True)
    )
    gate = Config().gate
    assert first - later == 3 * (gate.probes + gate.doubted)
