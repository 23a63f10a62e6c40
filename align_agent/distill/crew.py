"""Several processes at one training, each with the base in memory, as many as there are cards.

Every batch is shared out, the gradients are added up, and all take the same step: the adapter is
that of one process, but for the order in which numbers are added. The first of the crew is the
night's own process: it alone says when time is up, keeps the state and writes the adapter.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import distributed, multiprocessing

from align_agent.errors import AlignAgentError, ModelError

if TYPE_CHECKING:
    from align_agent.config.sections import ModelConfig
    from align_agent.distill.gradient import Lesson, TrainConfig
    from align_agent.distill.hindsight import Example
    from align_agent.distill.train import TrainResult
    from align_agent.models.local import LocalModel

T = TypeVar("T")
_PATIENCE = timedelta(hours=2)  # for the teacher's side, which the first computes for all


@dataclass(frozen=True, slots=True)
class Crew:
    """One of `size` processes that train together; alone, nothing is exchanged."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, batch: Sequence[Lesson]) -> Sequence[Lesson]:
        """This process's part of a batch; small batches leave some with nothing."""
        return batch[self.rank :: self.size]

    def going_on(self, wanted: bool) -> bool:
        """What the first of the crew wants."""
        if self.size == 1:
            return wanted
        said = [wanted]
        distributed.broadcast_object_list(said, src=0)
        return said[0]

    def in_turn(self, work: Callable[[], T]) -> T:
        """What `work` returns, done by the first of the crew before the others: they find what it
        left on the disk."""
        if self.size > 1 and not self.leads:
            distributed.barrier()
        found = work()
        if self.size > 1 and self.leads:
            distributed.barrier()
        return found

    def joined(
        self, weights: Sequence[torch.Tensor], loss: float, figures: dict[str, float], share: float
    ) -> tuple[float, dict[str, float]]:
        """The whole batch's loss and figures, its gradient in `weights`, from those of the shares;
        `share` is this process's part of the batch."""
        if self.size == 1:
            return loss, figures
        with torch.no_grad():
            grads = [torch.zeros_like(w) if w.grad is None else w.grad * share for w in weights]
            flat = torch.cat([grad.flatten() for grad in grads])
            distributed.all_reduce(flat)
            for weight, grad in zip(weights, flat.split([w.numel() for w in weights]), strict=True):
                weight.grad = grad.view_as(weight)
        told: list[Any] = [None] * self.size
        distributed.all_gather_object(told, (loss * share, figures))
        return sum(part for part, _ in told), _merged([found for _, found in told])


def _merged(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    """Figures over all tokens from those over some."""
    whole = sum(part["tokens"] for part in parts)
    names = dict.fromkeys(name for part in parts for name in part if name != "tokens")
    means = {
        name: sum(part.get(name, 0.0) * part["tokens"] for part in parts) / whole for name in names
    }
    return {**means, "tokens": whole}


def train_together(
    model: LocalModel,
    settings: ModelConfig,
    processes: int,
    examples: Sequence[Example],
    cfg: TrainConfig,
    *,
    state_dir: Path,
    **more: Any,
) -> TrainResult:
    """`train` by several processes; with one it is `train`. `settings` name the base, which each
    process loads: on a card of its own, or all on the CPU.

    Raises as `train` does, and ModelError where a process of the crew cannot do its part.
    """
    from align_agent.distill.train import train

    if processes == 1:
        return train(model, examples, cfg, state_dir=state_dir, **more)
    if model.device.type not in ("cpu", "cuda"):
        raise ModelError(
            f"distill.processes is {processes}, but {model.device.type} has one card for all",
            hint="set it to 1",
        )
    if model.device.type == "cuda" and torch.cuda.device_count() < processes:
        raise ModelError(
            f"distill.processes is {processes}, but there are {torch.cuda.device_count()} cards",
            hint="set it to the number of cards",
        )
    tell, more["on_step"] = more.get("on_step"), None
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        meeting, ready = f"file://{folder}/meeting", context.Semaphore(0)
        others = [
            context.Process(
                target=_member,
                args=(Crew(rank, processes), meeting, ready, replace(settings, device=place)),
                kwargs={"examples": examples, "cfg": cfg, "state_dir": state_dir, **more},
                daemon=True,
            )
            for rank, place in enumerate(_places(model.device, processes))
            if rank
        ]
        try:
            _gather(others, ready)
            _join(model.device, meeting, Crew(0, processes))
            more["on_step"] = tell
            result = train(
                model, examples, cfg, state_dir=state_dir, crew=Crew(0, processes), **more
            )
            for other in others:
                other.join()
            return result
        except RuntimeError as error:  # an exchange fails at once when its partner is gone
            if isinstance(error, AlignAgentError) or not _lost(others, seconds=1.0):
                raise
            raise _incomplete(str(error)) from error
        finally:
            _part(others)


def _gather(others: Sequence[Any], ready: Any) -> None:
    """Start the others and wait until each has the base in memory. Raises ModelError."""
    for other in others:
        other.start()
    for _ in others:
        while not ready.acquire(timeout=0.2):
            if _lost(others):
                raise _incomplete("it could not load the model")


def _lost(others: Sequence[Any], seconds: float = 0.0) -> bool:
    """Whether one of the others has ended, perhaps within some seconds."""
    ends = [other.sentinel for other in others]
    return bool(wait(ends, timeout=seconds))


def _incomplete(why: str) -> ModelError:
    return ModelError(
        f"one of the processes that train together ended early: {why}",
        hint="set distill.processes to 1, or look above for what it said",
    )


def _places(device: torch.device, processes: int) -> list[str]:
    """The device of each process, the first one's own first."""
    if device.type != "cuda":
        return [str(device)] * processes
    own = device.index or 0
    cards = [own, *(i for i in range(torch.cuda.device_count()) if i != own)]
    return [f"cuda:{i}" for i in cards[:processes]]


def _member(crew: Crew, meeting: str, ready: Any, settings: ModelConfig, **more: Any) -> None:
    """What another process of the crew does: the same training, of which it writes nothing."""
    from align_agent.distill.train import train
    from align_agent.models.load import load_model

    model = load_model(settings)
    ready.release()
    _join(model.device, meeting, crew)
    train(model, crew=crew, **more)
    distributed.destroy_process_group()


def _join(device: torch.device, meeting: str, crew: Crew) -> None:
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=meeting,
        rank=crew.rank,
        world_size=crew.size,
        timeout=_PATIENCE,
    )


def _part(others: Sequence[Any]) -> None:
    """End the crew, however the training went."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
    for other in others:
        if other.is_alive():
            other.kill()
            other.join()
