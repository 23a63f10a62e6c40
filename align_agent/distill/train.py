"""One training run: examples in, a LoRA adapter out. Knows no store, no schedule, no verdict.

Self-distillation (SDPO, arXiv 2601.20802; offline on logged and fresh answers as in arXiv
2603.12273) with a frozen teacher: minimise over the LoRA's weights

    mean over answers y of mean_t D( pi_theta(.|x, y<t) , pi_base(.|x, f, y<t) )

x the prompt, f the hindsight, D from `loss`. The base never changes, so the teacher's side is
computed once and serves every epoch.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from align_agent.distill import checkpoint, memory
from align_agent.distill.batches import families_of, plan_batches
from align_agent.distill.checkpoint import Standing
from align_agent.distill.crew import Crew
from align_agent.distill.gradient import (
    Lesson,
    TrainConfig,
    check_weights,
    gradient_of,
    kind_of,
    lessons_of,
    seeded,
    student_of,
    take_step,
)
from align_agent.distill.hindsight import Example
from align_agent.distill.loss import Formula
from align_agent.models.lora import WEIGHTS_FILE, assert_untouched

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

OnStep = Callable[[int, int, dict[str, float]], None]
_ALONE = Crew()


@dataclass(frozen=True, slots=True)
class TrainResult:
    """How a training went. `metrics` has one row a step, `skipped` (turn id, reason)."""

    steps: int
    metrics: list[dict[str, float]]
    seconds: float
    examples: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    stopped_early: bool = False


def train(
    model: LocalModel,
    examples: Sequence[Example],
    cfg: TrainConfig,
    *,
    seed: int,
    out_dir: Path,
    on_step: OnStep | None = None,
    state_dir: Path | None = None,
    start: Path | None = None,
    max_seconds: float | None = None,
    crew: Crew = _ALONE,
) -> TrainResult:
    """Distil the examples into a LoRA over the base and write it to `out_dir`: a fresh one, or one
    with the weights of the adapter in `start`, of the same rank.

    On a CPU the same examples, settings, seed and thread count give the same bytes, also when the
    process was killed in between and called again with the same `state_dir`, which keeps the
    teacher's side and the state of the last step. `on_step` gets (step from 1, steps in all,
    figures). Ends early, with what is learned so far, after `max_seconds`, or `cfg.max_minutes`
    where these are not given. A `crew` shares each batch; see `crew.train_together`. Raises
    InputError when no example has anything to learn, TrainingDiverged when the loss or a gradient
    is not a number or explodes; nothing is written to `out_dir` then.
    """
    started = time.monotonic()
    base = model.network(None)
    with assert_untouched(base), seeded(seed, model.device):
        student = student_of(model, cfg, seed, start)
        network, whole = student.get_base_model(), cfg.prompt_gradient
        weights = [p for p in student.parameters() if p.requires_grad]
        tokens = memory.tokens_at_once(student, cfg.max_memory_gb)
        limit = 60 * cfg.max_minutes if max_seconds is None else max_seconds
        formula = Formula(kind_of(cfg.loss), token_clip=cfg.token_clip, sample_cap=cfg.sample_cap)
        lessons, skipped = crew.in_turn(lambda: lessons_of(model, examples, cfg, tokens, state_dir))
        batches = _batches(lessons, cfg, seed)
        rate = learning_rate(cfg.learning_rate, base)
        optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0)
        key = _key(model, lessons, batches, cfg, seed, start)
        keeper = checkpoint.Keeper(state_dir, key, writes=crew.leads)
        at = keeper.load(weights, optimizer) or Standing(0, [], 0.0, tokens)
        started -= at.seconds  # what an earlier process spent on it counts
        while at.step < len(batches) and crew.going_on(time.monotonic() - started < limit):
            torch.manual_seed(seed + 7919 * at.step)  # dropout's, whatever came before this step
            now = rate * schedule(at.step, len(batches), cfg.warmup_steps)
            optimizer.param_groups[0]["lr"] = now
            batch = [lessons[i] for i in batches[at.step]]
            share = crew.share(batch)
            loss, found, tokens = gradient_of(network, share, formula, at.tokens, whole)
            loss, found = crew.joined(weights, loss, found, len(share) / len(batch))
            norm = take_step(optimizer, cfg.max_grad_norm, at.step, loss)
            found = {"loss": loss, **found, "grad_norm": norm, "learning_rate": now}
            at = Standing(at.step + 1, [*at.history, found], time.monotonic() - started, tokens)
            keeper.save(at, weights, optimizer)
            if on_step is not None:
                on_step(at.step, len(batches), found)
        check_weights(at.step, weights)
    if crew.leads:
        model.save_lora(student, out_dir)
    seconds, early = time.monotonic() - started, at.step < len(batches)
    return TrainResult(at.step, at.history, seconds, len(lessons), skipped, early)


def _batches(lessons: Sequence[Lesson], cfg: TrainConfig, seed: int) -> list[list[int]]:
    sequences = [lesson.pair.student_ids for lesson in lessons]
    lengths = [len(sequence) for sequence in sequences]
    return plan_batches(lengths, cfg.batch_size, cfg.epochs, seed, families_of(sequences))


def schedule(step: int, steps: int, warmup: int) -> float:
    """The share of the full learning rate at a step: linear warmup, then half a cosine to 0."""
    warmup = min(warmup, steps - 1)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def learning_rate(asked: float | str, network: Any) -> float:
    """The rate that was asked for; "auto" goes by the network's size.

    LoRA wants about ten times the rate of full fine-tuning: 1e-3 for a pocket model, 5e-4 below a
    billion parameters, 2e-4 above, where 1e-3 was seen to forget (arXiv 2601.19897).
    """
    if asked != "auto":
        return float(asked)
    size = _size(network)
    if size < 50_000_000:
        return 1e-3
    return 5e-4 if size < 1_000_000_000 else 2e-4


def _key(
    model: LocalModel,
    lessons: Sequence[Lesson],
    batches: list[list[int]],
    cfg: TrainConfig,
    seed: int,
    start: Path | None,
) -> str:
    """What a training depends on, as one short text: only the same one may be gone on with."""
    names = [name for name in vars(TrainConfig) if isinstance(getattr(TrainConfig, name), property)]
    settings = {name: getattr(cfg, name) for name in sorted(names) if name != "max_minutes"}
    digest = hashlib.sha256(repr((model.base_hash, settings, seed, batches)).encode())
    if start is not None:
        digest.update((start / WEIGHTS_FILE).read_bytes())
    for lesson in lessons:
        digest.update(repr((lesson.pair, lesson.advantage)).encode())
    return digest.hexdigest()


def _size(network: Any) -> int:
    return sum(p.numel() for p in network.parameters())
