"""One step's gradient: examples as lessons, their loss through the network, what makes it sound.

Shared by whoever steps: a night's training (`train`), a search or a correction (`step`). Plans no
batches, owns no optimizer, writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from align_agent.distill import memory
from align_agent.distill.batches import parts_of
from align_agent.distill.head import Scored, Target, fused_losses
from align_agent.distill.hindsight import Example
from align_agent.distill.loss import (
    KINDS,
    Formula,
    Kind,
    bucket_logprobs,
    bucket_of,
    figures,
    mean,
    token_losses,
)
from align_agent.distill.pairs import Pair, pair_of
from align_agent.distill.teacher import TeacherRow, teacher_rows
from align_agent.errors import InputError, ModelError, TrainingDiverged
from align_agent.models import shortage
from align_agent.models.forward import has_plain_head, logits_at
from align_agent.models.lora import assert_plain, copy_lora
from align_agent.models.tree import hidden_at

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

NOTHING_LEFT = "no token of the answer is left to learn"
TOO_LONG = "too long for distill.max_memory_gb"
_EXPLODED = 1e4  # a gradient norm; sound runs stay below 100


class TrainConfig(Protocol):
    """The fields of `config.distill` that training reads."""

    @property
    def epochs(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def learning_rate(self) -> float | str: ...
    @property
    def lora_rank(self) -> int: ...
    @property
    def lora_alpha(self) -> int: ...
    @property
    def lora_dropout(self) -> float: ...
    @property
    def loss(self) -> str: ...
    @property
    def top_k(self) -> int: ...
    @property
    def token_clip(self) -> float: ...
    @property
    def sample_cap(self) -> float: ...
    @property
    def max_grad_norm(self) -> float: ...
    @property
    def warmup_steps(self) -> int: ...
    @property
    def mask_first_tokens(self) -> int: ...
    @property
    def reasoning(self) -> bool: ...
    @property
    def prompt_gradient(self) -> bool: ...
    @property
    def max_minutes(self) -> float: ...
    @property
    def max_memory_gb(self) -> float: ...
    @property
    def exact(self) -> bool: ...
    @property
    def gradient_checkpointing(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Lesson:
    """One answer as it is trained on: its tokens, and the teacher at each of them."""

    pair: Pair
    teacher: TeacherRow
    advantage: float = 0.0


def encode_examples(
    model: LocalModel,
    examples: Sequence[Example],
    skip_first: int,
    longest: int = 0,
    *,
    reasoning: bool = True,
) -> tuple[list[tuple[Example, Pair]], list[tuple[str, str]]]:
    """The examples that can be learned from with their tokens, and (turn id, reason) of the others.

    `longest` is how many tokens fit into memory at a time, 0: any. Raises InputError when no
    example is left.
    """
    found: list[tuple[Example, Pair]] = []
    skipped: list[tuple[str, str]] = []
    for example in examples:
        try:
            pair = pair_of(model, example, skip_first=skip_first, reasoning=reasoning)
        except ModelError as error:
            skipped.append((example.turn_id, error.message))
            continue
        if pair is None:
            skipped.append((example.turn_id, NOTHING_LEFT))
        elif too_long(pair, longest):
            skipped.append((example.turn_id, TOO_LONG))
        else:
            found.append((example, pair))
    if not found:
        why = f": {skipped[0][1]}" if skipped else ""
        raise InputError(
            f"none of {len(examples)} examples can be learned from{why}",
            hint="see `align-agent distill plan`",
        )
    return found, skipped


def longest_turn(model: LocalModel, cfg: TrainConfig) -> int:
    """Tokens of the longest turn that `max_memory_gb` lets a training take; 0: any."""
    if not cfg.max_memory_gb:
        return 0
    with seeded(0, model.device):
        return memory.tokens_at_once(student_of(model, cfg, 0, None), cfg.max_memory_gb)


def too_long(pair: Pair, longest: int) -> bool:
    """Whether either side of the pair is longer than that."""
    return 0 < longest < max(len(pair.student_ids), len(pair.teacher_ids))


def lessons_of(
    model: LocalModel,
    examples: Sequence[Example],
    cfg: TrainConfig,
    tokens: int,
    state_dir: Path | None,
    teacher: Any = None,
) -> tuple[list[Lesson], list[tuple[str, str]]]:
    """The examples with the teacher's side, and (turn id, reason) of what is left out.

    The teacher is the frozen base, or another network that is given.
    """
    longest = tokens if cfg.max_memory_gb else 0
    usable, skipped = encode_examples(
        model, examples, cfg.mask_first_tokens, longest, reasoning=cfg.reasoning
    )
    pairs = [pair for _, pair in usable]
    rows = [TeacherRow()] * len(pairs)  # rewards need no teacher
    if cfg.loss != "grpo":
        rows = teacher_rows(
            model,
            pairs,
            cfg.top_k,
            exact=cfg.exact,
            tokens=tokens,
            folder=state_dir,
            teacher=teacher,
        )
    return [
        Lesson(pair, row, example.advantage)
        for (example, pair), row in zip(usable, rows, strict=True)
    ], skipped


def gradient_of(
    network: Any,
    batch: Sequence[Lesson],
    formula: Formula,
    tokens: int,
    prompt_gradient: bool = True,
) -> tuple[float, dict[str, float], int]:
    """Add the batch's gradient to the LoRA's weights: (loss, figures, tokens at a time).

    Where memory gives out the batch is done again with half as many tokens at a time: the gradient
    of a batch that began with so many. Without dropout that is the gradient of any number; dropout
    is drawn for each part.
    """
    chance = _random_state(network.device)
    while True:
        try:
            return *_backward(network, batch, formula, tokens, prompt_gradient), tokens
        except (MemoryError, RuntimeError) as error:
            parts = parts_of([lesson.pair.student_ids for lesson in batch], tokens)
            if not shortage.ran_out(error) or len(parts) == len(batch):
                raise
        for parameter in network.parameters():
            parameter.grad = None
        shortage.give_back()
        _set_random_state(chance, network.device)  # the failed pass has drawn from it
        tokens = memory.halved(tokens, [len(lesson.pair.student_ids) for lesson in batch])


def _backward(
    network: Any,
    batch: Sequence[Lesson],
    formula: Formula,
    tokens: int,
    prompt_gradient: bool = True,
) -> tuple[float, dict[str, float]]:
    """Add the batch's gradient to the LoRA's weights. Returns its loss and figures.

    A batch of more than `tokens` goes through in parts; without dropout the gradient is the same.
    """
    total = 0.0
    found: dict[str, float] = {}
    written = sum(len(lesson.pair.targets) for lesson in batch)
    for part in parts_of([lesson.pair.student_ids for lesson in batch], tokens):
        lessons = [batch[i] for i in part]
        target, owners = _target(lessons, network.device, formula.kind)
        scored = _score(network, lessons, target, formula, prompt_gradient)
        loss = mean(formula, scored.losses, owners, len(lessons))
        share = len(part) / len(batch)
        (loss * share).backward()
        total += float(loss.detach()) * share
        teacher = None
        if target.logprobs is not None and target.tail is not None:
            teacher = torch.cat([target.logprobs, target.tail[:, None]], dim=-1)
        some = figures(formula, scored.losses.detach(), scored.table, teacher)
        weight = some.pop("tokens") / written
        for name, value in some.items():
            found[name] = found.get(name, 0.0) + value * weight
    return total, {**found, "tokens": float(written)}


def _score(
    network: Any,
    lessons: Sequence[Lesson],
    target: Target,
    formula: Formula,
    prompt_gradient: bool,
) -> Scored:
    """The losses (N,) of the answers' tokens, answer after answer."""
    ids = [lesson.pair.student_ids for lesson in lessons]
    positions = [lesson.pair.student_positions for lesson in lessons]
    if has_plain_head(network):
        head = network.get_output_embeddings()
        hidden = hidden_at(network, ids, positions, prompt_gradient=prompt_gradient)  # (N, H)
        return fused_losses(hidden, head.weight, head.bias, target, formula)
    # Some networks scale or cap their logits behind the head: then the logits are needed whole.
    logits = logits_at(network, ids, positions)  # (B, A, V)
    logits = torch.cat([logits[i, : len(row)] for i, row in enumerate(positions)])  # (N, V)
    buckets = target.written[:, None] if target.ids is None else target.ids
    table = bucket_logprobs(logits, buckets)  # (N, K + 1)
    teacher = None
    if target.logprobs is not None and target.tail is not None:
        teacher = torch.cat([target.logprobs, target.tail[:, None]], dim=-1)
    place = bucket_of(buckets, target.written)
    losses = token_losses(
        formula,
        table,
        teacher,
        place,
        behaviour=target.behaviour,
        advantage=target.advantage,
    )
    return Scored(losses, table.detach(), table.detach().gather(-1, place[:, None]).squeeze(-1))


def _target(
    lessons: Sequence[Lesson], device: torch.device, kind: Kind
) -> tuple[Target, torch.Tensor]:
    """What the answers' N tokens are compared with, and whose each is (N,)."""
    counts = torch.tensor([len(lesson.pair.targets) for lesson in lessons])
    owners = torch.repeat_interleave(torch.arange(len(lessons)), counts).to(device)
    targets = [token for lesson in lessons for token in lesson.pair.targets]
    written = torch.tensor(targets, device=device)
    if kind == "grpo":
        advantages = torch.tensor([lesson.advantage for lesson in lessons], device=device)
        behaviour = _behaviour(lessons, None, written)
        return Target(written, behaviour=behaviour, advantage=advantages[owners]), owners

    def column(name: str) -> torch.Tensor | None:
        parts = [getattr(lesson.teacher, name) for lesson in lessons]
        return None if parts[0] is None else torch.cat(parts).to(device)

    columns = {name: column(name) for name in ("ids", "logprobs", "tail", "hidden")}
    behaviour = _behaviour(lessons, columns["ids"], written)
    return Target(written, behaviour=behaviour, **columns), owners


def _behaviour(
    lessons: Sequence[Lesson], ids: torch.Tensor | None, written: torch.Tensor
) -> torch.Tensor | None:
    """With which log-probability each token (N,) was written, NaN where that is not known.

    Nor is it of use where the student's own is not: within the tail, whose mass alone is at hand.
    """
    if not any(lesson.pair.behaviour for lesson in lessons):
        return None
    unknown = float("nan")
    known = [
        at
        for lesson in lessons
        for at in lesson.pair.behaviour or (unknown,) * len(lesson.pair.targets)
    ]
    behaviour = torch.tensor(known, device=written.device)
    if ids is None:
        return behaviour
    return behaviour.masked_fill(~(ids == written[:, None]).any(dim=-1), unknown)


def kind_of(name: str) -> Kind:
    for kind in KINDS:
        if kind == name:
            return kind
    raise InputError(f"unknown loss {name!r}", hint=f"set distill.loss to one of {KINDS}")


def train_mode(student: Any, checkpointing: bool) -> None:
    """LoRA's dropout on, everything else as it serves."""
    student.eval()
    for name, module in student.named_modules():
        if "lora_dropout" in name:
            module.train()
    if checkpointing:
        network = student.get_base_model()
        # transformers 5.24 renamed it.
        renamed = getattr(network, "activation_checkpointing_enable", None)
        (renamed or network.gradient_checkpointing_enable)({"use_reentrant": False})
        for module in student.modules():
            if hasattr(module, "gradient_checkpointing"):
                module.training = True  # it asks for this; its parts stay as they serve


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers (dropout draws some) from the seed, and the caller's left as they were."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _random_state(device: torch.device) -> list[torch.Tensor]:
    """Where the random numbers stand: the processor's, and the card's where there is one."""
    states = [torch.get_rng_state()]
    return [*states, torch.cuda.get_rng_state(device)] if device.type == "cuda" else states


def _set_random_state(states: Sequence[torch.Tensor], device: torch.device) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)


def student_of(model: LocalModel, cfg: TrainConfig, seed: int, start: Path | None) -> Any:
    """A LoRA over the base, which carries none, ready to be trained: a fresh one, or one with the
    weights of the adapter in `start`."""
    assert_plain(model.network(None))
    student = model.fresh_lora(cfg.lora_rank, cfg.lora_alpha, cfg.lora_dropout, seed)
    if start is not None:
        copy_lora(student, start)
    train_mode(student, cfg.gradient_checkpointing)
    return student


def take_step(optimizer: torch.optim.Optimizer, longest: float, step: int, loss: float) -> float:
    """Cut the gradient to `longest`, step by it and clear it. Returns its norm before the cut.

    Raises TrainingDiverged, and has not stepped then.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    norm = float(torch.nn.utils.clip_grad_norm_(weights, longest))
    check_sound(step, loss, norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return norm


def check_sound(step: int, loss: float, norm: float) -> None:
    if not math.isfinite(loss):
        raise diverged(step, f"the loss is {loss}")
    if not math.isfinite(norm) or norm > _EXPLODED:
        raise diverged(step, f"the gradient's norm is {norm:.3g}")


def check_weights(step: int, weights: Sequence[torch.Tensor]) -> None:
    if not all(bool(weight.isfinite().all()) for weight in weights):
        raise diverged(step, "a weight is not a number")


def diverged(step: int, why: str) -> TrainingDiverged:
    return TrainingDiverged(
        f"training diverged at step {step + 1}: {why}",
        hint="lower distill.learning_rate, or exclude the turn that does it",
    )
