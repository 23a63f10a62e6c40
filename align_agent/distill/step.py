"""Single steps: a throw-away LoRA that learns a batch at a time, while more answers are coming.

The step is that of `train` (same pairs, same teacher, same loss); here there is no plan of batches,
and nothing is written unless asked for. Knows no problem, no sandbox, no store.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from align_agent.distill import memory
from align_agent.distill.gradient import (
    gradient_of,
    kind_of,
    lessons_of,
    seeded,
    student_of,
    take_step,
)
from align_agent.distill.hindsight import Example
from align_agent.distill.loss import Formula
from align_agent.models.lora import assert_untouched, twin

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel


@dataclass(frozen=True, slots=True)
class StepConfig:
    """What a step reads. A constant rate: how many steps there will be is not known."""

    learning_rate: float = 6e-3
    lora_rank: int = 16
    lora_alpha: int = 32
    loss: str = "reverse_kl"
    top_k: int = 20
    token_clip: float = 5.0
    sample_cap: float = 5.0
    max_grad_norm: float = 1.0
    mask_first_tokens: int = 0
    reasoning: bool = True
    prompt_gradient: bool = True
    # The share of the way to the student that the teacher goes after each step. 0: it stays the
    # base; 1: it is the student of the moment; between them a moving average. Only to compare.
    teacher_follows: float = 0.0
    # Of `TrainConfig`, which the shared functions name; a single step has no use for them.
    epochs: int = 1
    batch_size: int = 16
    lora_dropout: float = 0.0
    warmup_steps: int = 0
    max_minutes: float = 0.0
    max_memory_gb: float = 0.0
    exact: bool = False
    gradient_checkpointing: bool = False


class Stepper:
    """A LoRA over the base, its optimizer, and the network that answers with it.

    The LoRA is fresh, or begins with the weights of the adapter in `start`. `network` is for
    `LocalModel.generate_batch`, and changes with each step.
    """

    def __init__(
        self, model: LocalModel, config: StepConfig, *, seed: int, start: Path | None = None
    ) -> None:
        self._model, self._config, self._seed = model, config, seed
        self._student = student_of(model, config, seed, start)
        self._teacher: Any = None
        if config.teacher_follows:
            self._teacher = student_of(model, config, seed, start).eval()
        # Training sets how its tree attends; answers need one that attends as ever, on the same
        # weights.
        self.network = twin(self._student.get_base_model())
        self._weights = [p for p in self._student.parameters() if p.requires_grad]
        self._optimizer = torch.optim.AdamW(
            self._weights, lr=config.learning_rate, weight_decay=0.0
        )
        self._tokens = memory.tokens_at_once(self._student, config.max_memory_gb)
        self._formula = Formula(
            kind_of(config.loss), token_clip=config.token_clip, sample_cap=config.sample_cap
        )
        self.steps = 0

    def step(self, examples: Sequence[Example], times: int = 1) -> dict[str, float]:
        """Move the student towards the teacher, the frozen base that sees each example's hindsight,
        `times` over the same examples.

        Returns figures about the last time. Raises InputError when no example can be learned
        from, TrainingDiverged.
        """
        base = self._model.network(None)
        found: dict[str, float] = {}
        with assert_untouched(base), seeded(self._seed + self.steps, self._model.device):
            lessons, _ = lessons_of(
                self._model, examples, self._config, self._tokens, None, self._network_of_teacher()
            )
            for _ in range(times):
                loss, figures, self._tokens = gradient_of(
                    self._student.get_base_model(), lessons, self._formula, self._tokens
                )
                norm = take_step(self._optimizer, self._config.max_grad_norm, self.steps, loss)
                self._follow()
                self.steps += 1
                found = {"loss": loss, "grad_norm": norm, **figures}
        return found

    def save(self, folder: Path) -> None:
        """Write the adapter as `train` does."""
        self._model.save_lora(self._student, folder)

    def _network_of_teacher(self) -> Any:
        return None if self._teacher is None else self._teacher.get_base_model()

    def _follow(self) -> None:
        if self._teacher is None:
            return
        own = [p for p in self._teacher.parameters() if p.requires_grad]
        with torch.no_grad():
            for weight, goal in zip(own, self._weights, strict=True):
                weight.lerp_(goal, self._config.teacher_follows)
