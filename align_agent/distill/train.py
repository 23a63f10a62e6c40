"""One training run: examples in, a LoRA adapter out. Knows no store, no schedule, no verdict.

Self-distillation (SDPO, arXiv 2601.20802; offline on logged and fresh answers as in arXiv
2603.12273) with a frozen teacher: minimise over the LoRA's weights

    mean over answers y of mean_t D( pi_theta(.|x, y<t) , pi_base(.|x, f, y<t) )

x the prompt, f the hindsight, D from `loss`. The base never changes, so the teacher's side is
computed once and serves every epoch.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from align_agent.distill.gap import scoring_batches
from align_agent.distill.hindsight import Example
from align_agent.distill.loss import Kind, distill_loss, teacher_table
from align_agent.distill.pairs import Pair, pair_of
from align_agent.errors import InputError, ModelError, TrainingDiverged
from align_agent.models.forward import logits_at, pad_right
from align_agent.models.lora import assert_plain, assert_untouched

if TYPE_CHECKING:
    from align_agent.models.local import LocalModel

OnStep = Callable[[int, int, dict[str, float]], None]

_EXPLODED = 1e4  # a gradient norm; sound runs stay below 100
_WINDOW = 16  # batches sorted by length together: little padding, and still a shuffle
# Tokens of one pass through the network, by its size: the rest of a batch waits its turn.
_SMALL_MODEL = 200_000_000
_TOKENS_SMALL, _TOKENS_LARGE = 16_384, 2_048


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
    def max_minutes(self) -> float: ...


@dataclass(frozen=True, slots=True)
class TrainResult:
    """How a training went. `metrics` has one row a step, `skipped` (turn id, reason)."""

    steps: int
    metrics: list[dict[str, float]]
    seconds: float
    examples: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)
    stopped_early: bool = False


@dataclass(frozen=True, slots=True)
class TeacherRow:
    """The teacher at the A positions of one answer: (A, K), (A, K), (A,), on the CPU."""

    logprobs: torch.Tensor
    ids: torch.Tensor
    tail: torch.Tensor


def train(
    model: LocalModel,
    examples: Sequence[Example],
    cfg: TrainConfig,
    *,
    seed: int,
    out_dir: Path,
    on_step: OnStep | None = None,
) -> TrainResult:
    """Distil the examples into a fresh LoRA over the base and write it to `out_dir`.

    On a CPU the same examples, settings, seed and thread count give the same bytes. `on_step` gets
    (step from 1, steps in all, figures). Ends early, with what is learned so far, after
    `cfg.max_minutes`. Raises InputError when no example has anything to learn, TrainingDiverged
    when the loss or a gradient is not a number or explodes; nothing is written then.
    """
    started = time.monotonic()
    pairs, skipped = encode_examples(model, examples, cfg.mask_first_tokens)
    base = model.network(None)
    assert_plain(base)
    history: list[dict[str, float]] = []
    with assert_untouched(base), _seeded(seed, model.device):
        teacher = teacher_rows(model, pairs, cfg.top_k)
        student = model.fresh_lora(cfg.lora_rank, cfg.lora_alpha, cfg.lora_dropout, seed)
        _train_mode(student)
        weights = [p for p in student.parameters() if p.requires_grad]
        rate = learning_rate(cfg.learning_rate, base)
        optimizer = torch.optim.AdamW(weights, lr=rate, weight_decay=0.0)
        lengths = [len(p.student_ids) for p in pairs]
        batches = plan_batches(lengths, cfg.batch_size, cfg.epochs, seed)
        for step, batch in enumerate(batches):
            if time.monotonic() - started > cfg.max_minutes * 60:
                break
            optimizer.param_groups[0]["lr"] = rate * schedule(step, len(batches), cfg.warmup_steps)
            loss, figures = _backward(model, student, [(pairs[i], teacher[i]) for i in batch], cfg)
            norm = float(torch.nn.utils.clip_grad_norm_(weights, cfg.max_grad_norm))
            _check_sound(step, loss, norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            rates = {"grad_norm": norm, "learning_rate": optimizer.param_groups[0]["lr"]}
            history.append({"loss": loss, **figures, **rates})
            if on_step is not None:
                on_step(step + 1, len(batches), history[-1])
        if not all(bool(w.isfinite().all()) for w in weights):
            raise _diverged(len(history), "a weight is not a number")
    model.save_lora(student, out_dir)
    return TrainResult(
        steps=len(history),
        metrics=history,
        seconds=time.monotonic() - started,
        examples=len(pairs),
        skipped=skipped,
        stopped_early=len(history) < len(batches),
    )


def encode_examples(
    model: LocalModel, examples: Sequence[Example], skip_first: int
) -> tuple[list[Pair], list[tuple[str, str]]]:
    """The examples that can be learned from as pairs, and (turn id, reason) of the others.

    Raises InputError when there is none.
    """
    pairs: list[Pair] = []
    skipped: list[tuple[str, str]] = []
    for example in examples:
        try:
            found = pair_of(model, example, skip_first=skip_first)
        except ModelError as error:
            skipped.append((example.turn_id, error.message))
            continue
        if found is None:
            skipped.append((example.turn_id, "no token of the answer is left to learn"))
        else:
            pairs.append(found)
    if not pairs:
        why = f": {skipped[0][1]}" if skipped else ""
        raise InputError(
            f"none of {len(examples)} examples can be learned from{why}",
            hint="see `align-agent distill plan`",
        )
    return pairs, skipped


def teacher_rows(model: LocalModel, pairs: Sequence[Pair], top_k: int) -> list[TeacherRow]:
    """What the frozen base, shown the hindsight, thinks at each answer's positions."""
    rows: dict[int, TeacherRow] = {}
    for batch in scoring_batches(model, pairs):
        chosen = [pairs[i] for i in batch]
        with torch.no_grad():
            logits = logits_at(
                model.network(None),
                [p.teacher_ids for p in chosen],
                [p.teacher_positions for p in chosen],
            )  # (B, A, V)
            logprobs, ids, tail = (t.cpu() for t in teacher_table(logits, top_k))
        for row, i in enumerate(batch):
            n = len(pairs[i].targets)
            rows[i] = TeacherRow(
                logprobs[row, :n].clone(), ids[row, :n].clone(), tail[row, :n].clone()
            )
    return [rows[i] for i in range(len(pairs))]


def plan_batches(
    lengths: Sequence[int], batch_size: int, epochs: int, seed: int
) -> list[list[int]]:
    """The batches of all epochs, of like lengths, in random order: a function of the seed."""
    chance = random.Random(seed)
    batches: list[list[int]] = []
    for _ in range(epochs):
        order = list(range(len(lengths)))
        chance.shuffle(order)
        epoch: list[list[int]] = []
        for start in range(0, len(order), _WINDOW * batch_size):
            window = sorted(
                order[start : start + _WINDOW * batch_size], key=lambda i: (lengths[i], i)
            )
            epoch += [window[at : at + batch_size] for at in range(0, len(window), batch_size)]
        chance.shuffle(epoch)
        batches += epoch
    return batches


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


def _backward(
    model: LocalModel, student: Any, batch: Sequence[tuple[Pair, TeacherRow]], cfg: TrainConfig
) -> tuple[float, dict[str, float]]:
    """Add the batch's gradient to the LoRA's weights. Returns its loss and figures.

    A batch that is too long for the memory goes through in parts; the gradient is the same.
    """
    network = student.get_base_model()
    total = 0.0
    figures: dict[str, float] = {}
    tokens = sum(len(p.targets) for p, _ in batch)
    for part in _parts(batch, _size(network)):
        pairs = [p for p, _ in part]
        logits = logits_at(
            network, [p.student_ids for p in pairs], [p.student_positions for p in pairs]
        )  # (B, A, V)
        logprobs, ids, tail, mask = _stack([row for _, row in part], model.device)
        loss, found = distill_loss(
            logits,
            logprobs,
            ids,
            tail,
            mask,
            kind=_kind(cfg.loss),
            token_clip=cfg.token_clip,
            sample_cap=cfg.sample_cap,
            sampled_ids=pad_right([p.targets for p in pairs], model.device),
        )
        share = len(part) / len(batch)
        (loss * share).backward()
        total += float(loss.detach()) * share
        weight = found.pop("tokens") / tokens
        for name, value in found.items():
            figures[name] = figures.get(name, 0.0) + value * weight
    return total, {**figures, "tokens": float(tokens)}


def _parts(
    batch: Sequence[tuple[Pair, TeacherRow]], size: int
) -> Iterator[Sequence[tuple[Pair, TeacherRow]]]:
    limit = _TOKENS_SMALL if size < _SMALL_MODEL else _TOKENS_LARGE
    longest = max(len(p.student_ids) for p, _ in batch)
    rows = max(1, limit // longest)
    for start in range(0, len(batch), rows):
        yield batch[start : start + rows]


def _stack(
    rows: Sequence[TeacherRow], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """(B, A, K) log-probabilities and ids, (B, A) tail and mask; filler where a row is shorter."""
    pad = torch.nn.utils.rnn.pad_sequence
    mask = pad([torch.ones(len(r.tail), dtype=torch.bool) for r in rows], batch_first=True)
    # Filler ids must differ from one another as real ones do: 0 .. K-1 everywhere, then the rows.
    ids = torch.arange(rows[0].ids.shape[-1]).repeat(*mask.shape, 1)
    for i, row in enumerate(rows):
        ids[i, : len(row.tail)] = row.ids
    logprobs = pad([r.logprobs for r in rows], batch_first=True)
    tail = pad([r.tail for r in rows], batch_first=True)
    return logprobs.to(device), ids.to(device), tail.to(device), mask.to(device)


def _kind(name: str) -> Kind:
    kinds: tuple[Kind, ...] = ("reverse_kl", "forward_kl", "jsd", "sampled")
    for kind in kinds:
        if kind == name:
            return kind
    raise InputError(f"unknown loss {name!r}", hint=f"set distill.loss to one of {kinds}")


def _train_mode(student: Any) -> None:
    """LoRA's dropout on, everything else as it serves."""
    student.eval()
    for name, module in student.named_modules():
        if "lora_dropout" in name:
            module.train()


def _size(network: Any) -> int:
    return sum(p.numel() for p in network.parameters())


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers (dropout draws some) from the seed, and the caller's left as they were."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def _check_sound(step: int, loss: float, norm: float) -> None:
    if not math.isfinite(loss):
        raise _diverged(step, f"the loss is {loss}")
    if not math.isfinite(norm) or norm > _EXPLODED:
        raise _diverged(step, f"the gradient's norm is {norm:.3g}")


def _diverged(step: int, why: str) -> TrainingDiverged:
    return TrainingDiverged(
        f"training diverged at step {step + 1}: {why}",
        hint="lower distill.learning_rate, or exclude the turn that does it",
    )
