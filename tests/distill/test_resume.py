"""Trainings that are killed at any moment end in the very bytes of one that was left alone."""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from align_agent.distill import checkpoint
from align_agent.distill.hindsight import Example
from align_agent.distill.train import train
from align_agent.models.local import LocalModel
from tests.distill.test_train import Settings, make_examples

KILLS = 24
CFG = Settings(epochs=8, batch_size=2, lora_dropout=0.1, learning_rate=1e-3)


@pytest.fixture(scope="module")
def alone(tiny_model: LocalModel, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """(examples, bytes of the adapter, steps) of a training that nobody disturbed."""
    torch.set_num_threads(1)
    examples = make_examples(tiny_model, 12)
    folder = tmp_path_factory.mktemp("alone")
    result = train(tiny_model, examples, CFG, seed=3, out_dir=folder)
    return examples, (folder / "adapter_model.safetensors").read_bytes(), result.steps


def begin(model: LocalModel, examples: list[Example], folder: Path, at: int, delay: float) -> bool:
    """A process of its own that trains, killed -9 `delay` seconds after its step `at`; whether it
    ended by itself before. Forked, because loading torch 24 times would take minutes."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            checkpoint._SECONDS = 0.0
            train(
                model,
                examples,
                CFG,
                seed=3,
                out_dir=folder / "adapter",
                state_dir=folder / "state",
                on_step=lambda *_: os.write(writing, b"."),
            )
        finally:
            os._exit(0)
    os.close(writing)
    seen = 0
    while seen < at and (more := os.read(reading, 1)):
        seen += len(more)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.close(reading)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_24_kills_at_random_moments_leave_the_adapter_byte_for_byte_the_same(
    tiny_model: LocalModel, alone: tuple, tmp_path: Path
) -> None:
    examples, expected, steps = alone
    chance = random.Random(11)
    killed = 0
    while killed < KILLS:  # before the first step too, within a step, while state is written
        assert not (tmp_path / "adapter" / "adapter_model.safetensors").exists()
        ended = begin(
            tiny_model, examples, tmp_path, chance.choice([0, 1, 1, 2]), chance.random() / 20
        )
        assert not ended, f"all steps were done after {killed} kills"
        killed += 1
    cfg, state = CFG, tmp_path / "state"
    result = train(tiny_model, examples, cfg, seed=3, out_dir=tmp_path / "adapter", state_dir=state)
    assert result.steps == steps == len(result.metrics)
    assert (tmp_path / "adapter" / "adapter_model.safetensors").read_bytes() == expected


def test_the_state_of_another_training_is_not_taken_up(
    tiny_model: LocalModel, alone: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "_SECONDS", 0.0)
    examples, expected, _ = alone
    train(tiny_model, examples, CFG, seed=4, out_dir=tmp_path / "other", state_dir=tmp_path / "s")
    train(tiny_model, examples, CFG, seed=3, out_dir=tmp_path / "own", state_dir=tmp_path / "s")
    assert (tmp_path / "own" / "adapter_model.safetensors").read_bytes() == expected


def test_a_state_that_cannot_be_read_starts_the_training_again(
    tiny_model: LocalModel, alone: tuple, tmp_path: Path
) -> None:
    examples, expected, _ = alone
    (tmp_path / "step.safetensors").write_bytes(b"half a file")
    train(tiny_model, examples, CFG, seed=3, out_dir=tmp_path / "own", state_dir=tmp_path)
    assert (tmp_path / "own" / "adapter_model.safetensors").read_bytes() == expected


def test_time_that_a_stopped_training_spent_counts(
    tiny_model: LocalModel, alone: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "_SECONDS", 0.0)
    examples, state = alone[0], tmp_path / "s"
    one = train(tiny_model, examples, CFG, seed=3, out_dir=tmp_path / "one", state_dir=state)
    spent = replace(CFG, max_minutes=one.seconds / 60 / 2)
    again = train(tiny_model, examples, spent, seed=3, out_dir=tmp_path / "two", state_dir=state)
    assert again.steps == one.steps  # all was done already, and no time was left for more
    assert again.seconds >= one.seconds / 2
