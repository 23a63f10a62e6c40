"""Single steps of a throw-away adapter."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from align_agent.distill.hindsight import Example, build_hindsight
from align_agent.distill.step import StepConfig, Stepper
from align_agent.records import Message

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

EXAMPLES = [
    Example(
        f"attempt-{i}",
        (Message("user", "Show the steps, one by one."),),
        (Message("assistant", text),),
        build_hindsight((), "Keep answers short."),
    )
    for i, text in enumerate(("First take 7 and add 5.", "The answer is 9."))
]


def test_steps_move_the_student_towards_the_teacher(tiny_model: LocalModel) -> None:
    stepper = Stepper(tiny_model, StepConfig(learning_rate=1e-2), seed=1)
    figures = [stepper.step(EXAMPLES) for _ in range(8)]
    assert figures[-1]["kl"] < 0.7 * figures[0]["kl"]


def test_the_same_seed_gives_the_same_steps(tiny_model: LocalModel, tmp_path: Path) -> None:
    for name in ("a", "b"):
        stepper = Stepper(tiny_model, StepConfig(), seed=4)
        for _ in range(2):
            stepper.step(EXAMPLES)
        stepper.save(tmp_path / name)
    one, two = ((tmp_path / n / "adapter_model.safetensors").read_bytes() for n in "ab")
    assert one == two


def test_a_step_without_anything_to_learn_is_refused(tiny_model: LocalModel) -> None:
    from align_agent.errors import InputError

    stepper = Stepper(tiny_model, StepConfig(mask_first_tokens=500), seed=1)
    with pytest.raises(InputError):
        stepper.step(EXAMPLES)


def test_a_live_teacher_is_the_student_and_a_moving_average_lies_between_it_and_the_base(
    tiny_model: LocalModel,
) -> None:
    apart = []
    for follows in (0.0, 0.3, 1.0):
        settings = StepConfig(learning_rate=1e-2, teacher_follows=follows)
        stepper = Stepper(tiny_model, settings, seed=1)
        for _ in range(3):
            stepper.step(EXAMPLES)
        # Without hindsight only their weights are between student and teacher.
        apart.append(stepper.step([replace(e, hindsight="") for e in EXAMPLES])["kl"])
    frozen, average, live = apart
    assert frozen > average > live
    assert live < 1e-5
