"""A night keeps to `distill.max_minutes`, and goes to the gate with what it has by then."""

from __future__ import annotations

import itertools

import pytest
from nights import LEARNS, configure, make_home, talk
from safetensors.numpy import load_file

from align_agent.night import clock, continual
from align_agent.night.clock import SPENT, Clock
from align_agent.night.progress import Silent
from align_agent.night.run import run_night
from align_agent.store import Store

PHASES = ("taught", "draft", "rollouts", "train")


def at(seconds: float, **more: float) -> Clock:
    """A night of ten minutes of which so many seconds are over."""
    made = Clock(10, before=seconds)
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_each_phase_may_go_on_longer_than_the_one_before():
    left = [at(0).left(phase) for phase in PHASES]
    assert left == sorted(left)
    assert all(one < other for one, other in itertools.pairwise(left))


@pytest.mark.parametrize("phase", PHASES)
def test_what_earlier_processes_spent_counts(phase: str):
    assert at(30).left(phase) == pytest.approx(at(0).left(phase) - 30, abs=1)


@pytest.mark.parametrize("phase", PHASES)
def test_time_that_is_up_is_not_less_than_none(phase: str):
    assert at(10_000).left(phase) == 0


@pytest.mark.parametrize("gate_seconds", [None, 0.0, 100.0, 5000.0])
def test_the_gate_keeps_a_part_of_the_night_but_never_most_of_it(gate_seconds: float | None):
    kept = 600 - at(0, gate_seconds=gate_seconds).left("train")
    assert 29 < kept < 301


def test_a_gate_that_takes_longer_leaves_less_for_training():
    slow, quick = at(0), at(0)
    slow.expect_gate(400, 0.5)
    quick.expect_gate(400, 0.1)
    assert slow.left("train") < quick.left("train") - 100


@pytest.mark.parametrize("rollouts", ["logged", "both"])
def test_a_night_without_time_goes_to_the_gate_with_what_it_has(
    tmp_path, tiny_model_dir, monkeypatch, rollouts: str
):
    monkeypatch.setattr(clock, "MINUTE", 1e-9)
    home = make_home(tmp_path / "home", tiny_model_dir, **LEARNS)
    configure(home, distill={"rollouts": rollouts, "max_minutes": 1})
    talk(home, 6)
    run = run_night(home, progress=Silent())
    assert run.status in ("promoted", "rejected"), run.reason
    assert run.verdict["verdict"] in ("promote", "reject")
    assert run.config[continual.OUT_OF_TIME]


def test_where_no_time_is_left_for_training_the_draft_goes_to_the_gate(
    tmp_path, tiny_model_dir, monkeypatch
):
    monkeypatch.setattr(clock, "_OVER", {"taught": 1, "draft": 1, "rollouts": 0, "train": 0})
    home = make_home(tmp_path / "home", tiny_model_dir, **LEARNS)
    configure(home, distill={"rollouts": "both"})
    talk(home, 6)
    run = run_night(home, progress=Silent())
    weights = load_file(home.adapters / f"v{run.candidate:04d}" / "adapter_model.safetensors")
    assert all(abs(value).max() > 0 for key, value in weights.items() if "lora_B" in key)


def test_a_night_with_time_does_all_that_it_meant_to(learned):
    with Store.open(learned.database) as store:
        run = store.runs.latest()
    assert run.config[continual.OUT_OF_TIME] is False
    assert run.config[SPENT] > 0
