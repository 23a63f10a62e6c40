"""The ablations: arms that differ in one thing, over lessons of the real log."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import ablations
import pytest

from align_agent.models.local import LocalModel


@pytest.fixture(scope="module")
def model() -> LocalModel:
    return LocalModel.load("pocket", device="cpu")


@pytest.fixture(scope="module")
def day(model: LocalModel, tmp_path_factory: pytest.TempPathFactory):
    return ablations.logged(model, 0, tmp_path_factory.mktemp("day"), sessions=4)


def test_every_arm_differs_from_what_is_shipped_in_one_thing() -> None:
    usual = ablations.settings_of(ablations.ARMS[ablations.USUAL])
    for name, arm in ablations.ARMS.items():
        settings = ablations.settings_of(arm)
        changed = [
            f.name for f in fields(usual) if getattr(settings, f.name) != getattr(usual, f.name)
        ]
        assert len(changed) + arm.attempt == (name != ablations.USUAL)


def test_only_the_teacher_is_shown_the_answer_that_failed(day) -> None:
    _, lessons = day
    lesson, answer = lessons[0]
    told = ablations.shown_attempt(lesson, answer)
    assert answer in told.hindsight
    assert answer not in lesson.hindsight
    assert (told.prompt, told.response) == (lesson.prompt, lesson.response)


@pytest.mark.long
def test_an_arm_is_played_and_shown_with_all_its_figures(model, day, tmp_path: Path) -> None:
    life, lessons = day
    arm = ablations.ARMS["live"]
    figures = ablations.play(model, life, lessons, arm, 0, tmp_path, steps=2, early=(1,))
    assert set(figures) >= set(ablations.COLUMNS) - {f"after_{n}" for n in ablations.EARLY}
    assert figures["kl"] > 0
    figures |= {f"after_{n}": figures["after_1"] for n in ablations.EARLY}
    cell = {"protocol": "x", "user": "student", "method": "live", "seed": 0, **figures}
    rows, told = ablations.rows_of([cell])
    assert rows[0][:2] == ["teacher", "live"]
    assert told["live"]["seeds"] == 1
