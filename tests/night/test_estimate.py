"""What is foretold of a night is what the night then does. Times are not asserted."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nights import COMPLAINT, conversation, make_home, talk

from align_agent.config import Config
from align_agent.distill.hindsight import Shown
from align_agent.distill.select import Candidate, Selection
from align_agent.errors import InputError
from align_agent.night.clock import deadline
from align_agent.night.estimate import Costs, Counts, count, estimate, foretell
from align_agent.night.everyday import general_prompts, too_few, wanted
from align_agent.night.exam import asked
from align_agent.night.phases import DRAFT_STEPS, draft_batch, draft_passes
from align_agent.night.plan import Wishes
from align_agent.night.progress import Silent
from align_agent.night.run import run_night
from align_agent.records import Feedback
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


def test_turns_that_the_night_would_leave_out_are_not_foretold(
    tmp_path: Path, tiny_model_dir: Path
) -> None:
    home = make_home(tmp_path, tiny_model_dir)
    talk(home)
    before = estimate(home)
    with Store.open(home.database) as store:
        (turn,) = conversation(90, 1, answer="x " * 5000)
        store.turns.add(turn)
        store.feedback.add(
            Feedback(turn.id, "follow_up", "negative", "format", 0.9, COMPLAINT, "t")
        )
    after = estimate(home)
    assert (after.answers, after.steps) == (before.answers, before.steps)


@pytest.mark.parametrize("base", ["pocket", "another-model"])
@pytest.mark.parametrize("lessons", [10, 100, 400])
def test_the_everyday_prompts_foretold_are_those_that_there_are(
    tmp_path: Path, base: str, lessons: int
) -> None:
    config = Config()
    config = replace(config, model=replace(config.model, base=base))
    (turn,) = conversation(0, 1)
    chosen = Selection(train=[Candidate(turn, Shown("No."))] * lessons)
    with Store.open(tmp_path / "align.db") as store:
        found = count(config, chosen, Wishes(store, config), champion=False, probed=False)
    anchors = found.rollouts - lessons
    there = general_prompts(config, wanted(config, lessons), seed=config.distill.seed)
    assert anchors == len(there)
    assert bool(too_few(config, lessons, anchors)) == (anchors < 0.9 * wanted(config, lessons))


@given(lessons=st.integers(1, 5000), answer=st.floats(0.001, 5), minutes=st.integers(1, 100))
def test_no_phase_is_foretold_to_go_on_when_its_time_is_up(lessons, answer, minutes):
    counts = Counts(lessons, 0, lessons, 4, 8 * lessons, 2 * lessons, 2 * lessons, lessons, 0)
    costs = Costs(1.0, answer, 0.0, answer, answer, 1.0)
    config = replace(Config(), distill=replace(Config().distill, max_minutes=minutes))
    found = foretell(config, counts, costs)
    spent = 0.0
    for phase in ("loading", "preflight", "draft", "rollouts", "train"):
        spent += found.seconds[phase]
        if phase in ("draft", "rollouts"):
            assert spent <= deadline(phase, minutes) + 0.5
    assert found.minutes <= minutes + 0.01
    assert found.steps <= counts.draft_steps + counts.steps


@given(adapters=st.floats(0, 100), champion=st.booleans())
def test_what_is_done_once_is_counted_once_and_before_the_preflight_ends_where_a_version_serves(
    adapters, champion
):
    counts = Counts(9, 4, 9, 4, 36, 20, 30, 24, 50, champion)
    costs = Costs(1.0, 0.1, 0.01, 0.1, 0.1, 1.0)
    free = foretell(Config(), counts, costs)
    found = foretell(Config(), counts, replace(costs, adapters=adapters))
    assert found.minutes - free.minutes == pytest.approx(adapters / 60, abs=0.011)
    before = found.least_minutes - free.least_minutes
    assert before == pytest.approx(adapters / 60 if champion else 0, abs=0.011)


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
