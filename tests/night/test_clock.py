"""A night keeps to `distill.max_minutes`, and goes to the gate with what it has by then."""

from __future__ import annotations

import itertools

import pytest
from nights import LEARNS, configure, conversation, make_home, talk
from safetensors.numpy import load_file

from align_agent.night import clock, continual, detect, preflight
from align_agent.night.clock import SPENT, Clock
from align_agent.night.progress import Silent
from align_agent.night.run import run_night
from align_agent.store import Store

PHASES = ("detect", "gap", "preflight", "taught", "draft", "rollouts", "train")


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
    shares = dict.fromkeys(PHASES, 1) | {"rollouts": 0, "train": 0}
    monkeypatch.setattr(clock, "_OVER", shares)
    home = make_home(tmp_path / "home", tiny_model_dir, **LEARNS)
    configure(home, distill={"rollouts": "both"})
    talk(home, 6)
    run = run_night(home, progress=Silent())
    weights = load_file(home.adapters / f"v{run.candidate:04d}" / "adapter_model.safetensors")
    assert all(abs(value).max() > 0 for key, value in weights.items() if "lora_B" in key)


class Heard(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


def test_without_time_a_sample_is_compared_and_the_rules_are_not_asked_about(
    tmp_path, tiny_model_dir, monkeypatch
):
    monkeypatch.setattr(clock, "MINUTE", 1e-9)
    monkeypatch.setattr(preflight, "SAMPLE", 2)
    home = make_home(tmp_path / "home", tiny_model_dir, distill={"max_minutes": 1})
    talk(home, 4, rule=True)
    heard = Heard()
    run = run_night(home, progress=heard)
    assert run.status != "skipped", run.reason
    assert any(text.startswith("time for 2 of") for text in heard.said)
    assert "no time to ask whether the teacher keeps your rules better" in heard.said


def test_follow_ups_that_a_night_has_no_time_to_measure_are_measured_by_the_next(
    tmp_path, tiny_model_dir, monkeypatch
):
    monkeypatch.setattr(clock, "MINUTE", 1e-9)
    monkeypatch.setattr(detect, "AT_ONCE", 1)
    home = make_home(
        tmp_path / "home", tiny_model_dir, feedback={"gap_threshold": 99.0},
        distill={"max_minutes": 1},
    )  # fmt: skip
    measured = []
    with Store.open(home.database) as store:
        for turn in conversation(40, 3):
            store.turns.add(turn)
        for _ in range(3):
            run_night(home, progress=Silent())
            measured.append(sum(f.kind == "gap" for f in store.feedback.list(-1)))
    assert measured == [1, 2, 2]


def test_a_night_with_time_does_all_that_it_meant_to(learned):
    with Store.open(learned.database) as store:
        run = store.runs.latest()
    assert run.config[continual.OUT_OF_TIME] is False
    assert run.config[SPENT] > 0
