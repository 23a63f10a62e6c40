"""Two real processes at one training learn what one does, and end together."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from align_agent.config import DistillConfig
from align_agent.config.sections import ModelConfig
from align_agent.distill.crew import Crew, train_together
from align_agent.distill.hindsight import Example
from align_agent.distill.train import TrainResult
from align_agent.errors import ModelError
from align_agent.models.local import LocalModel
from tests.distill.test_train import make_examples

# Three answers in a step: one process has two of them, the other one; the last batch has a single
# one, and the other process nothing. Plain steps of AdamW on float32 numbers in another order.
CFG = DistillConfig(epochs=2, batch_size=3, learning_rate=1e-3)


@pytest.fixture(scope="module")
def examples(tiny_model: LocalModel) -> list[Example]:
    return make_examples(tiny_model, 8)[:7]


def trained(
    model: LocalModel,
    examples: list[Example],
    folder: Path,
    processes: int,
    base: str = "",
) -> TrainResult:
    steps: list[int] = []
    settings = ModelConfig(base=base or model.base, device="cpu", threads=1)
    result = train_together(
        model, settings, processes, examples, CFG, seed=3, out_dir=folder / "adapter",
        state_dir=folder / "state", on_step=lambda step, *_: steps.append(step),
    )  # fmt: skip
    assert steps == list(range(1, result.steps + 1))
    return result


@pytest.fixture(scope="module")
def alone(
    tiny_model: LocalModel, examples: list[Example], tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainResult, dict[str, torch.Tensor]]:
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("alone")
    result = trained(tiny_model, examples, folder, 1)
    return result, load_file(folder / "adapter" / "adapter_model.safetensors")


@pytest.mark.long
def test_two_processes_learn_the_adapter_that_one_does(
    tiny_model: LocalModel, examples: list[Example], alone: tuple, tmp_path: Path
) -> None:
    one, expected = alone
    two = trained(tiny_model, examples, tmp_path, 2)
    found = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
    moved = max(float(tensor.abs().max()) for name, tensor in expected.items() if "lora_B" in name)
    apart = max(float((found[name] - expected[name]).abs().max()) for name in expected)
    assert apart < 0.01 * moved
    for a, b in zip(one.metrics, two.metrics, strict=True):
        assert a["tokens"] == b["tokens"]
        assert {k: b[k] for k in a} == pytest.approx(a, rel=1e-2, abs=1e-4)


@pytest.mark.long
def test_where_another_process_cannot_do_its_part_the_training_ends_with_the_reason(
    tiny_model: LocalModel, examples: list[Example], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="could not load"):
        trained(tiny_model, examples, tmp_path, 2, base=str(tmp_path / "no-such-model"))
    assert not (tmp_path / "adapter").exists()


def test_a_batch_is_shared_out_whole() -> None:
    batch = list(range(7))
    shares = [Crew(rank, 3).share(batch) for rank in range(3)]  # type: ignore[arg-type]
    assert sorted(i for share in shares for i in share) == batch


def test_a_device_that_no_two_processes_share_is_refused_at_once(tmp_path: Path) -> None:
    model: Any = SimpleNamespace(device=torch.device("mps"))
    with pytest.raises(ModelError, match="mps has one card"):
        train_together(model, ModelConfig(), 2, [], CFG, state_dir=tmp_path)
