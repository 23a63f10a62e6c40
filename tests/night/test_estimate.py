"""What is foretold of a night is what the night then does. Times are not asserted."""

from __future__ import annotations

from pathlib import Path

import pytest
from nights import make_home, talk

from align_agent.errors import InputError
from align_agent.night.estimate import estimate
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
