"""Train the pocket model from scratch: `python -m align_agent.models.pocket.train` (`make pocket`).

Fixed seeds, two CPU threads, a progress bar. A long stage on broad chats, single questions first,
then three short ones, at a lower rate: two on chats that hold more of what is weak by then, and one
that adds what people type first. The loss is next-token cross-entropy on the assistant's messages
alone. Hidden matrices are trained with Muon, the rest with AdamW; in each stage the learning rate
warms up, stays, and falls to zero. Batches are small: from the same tokens, more steps learn more.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from align_agent.models.pocket import WEIGHTS
from align_agent.models.pocket.chats import Document, draw_document, draw_plain_document
from align_agent.models.pocket.mix import BROAD, EVERYDAY, HARD, LAST, Mix
from align_agent.models.pocket.tokens import VOCABULARY, build_tokenizer, render


@dataclass(frozen=True)
class Stage:
    """One run over fresh chats. `tokens` counts every token of them, targets or not."""

    mix: Mix
    seed: int
    tokens: int
    plain: float  # the share of the tokens, at the beginning, that single questions have
    muon_lr: float
    adam_lr: float
    warmup: float  # the share of the tokens over which the learning rate rises
    decay: float  # ... and over which it falls, at the end


STAGES = (
    Stage(BROAD, 7, 16_000_000, plain=0.12, muon_lr=0.012, adam_lr=3e-3, warmup=0.01, decay=0.4),
    Stage(HARD, 99, 3_000_000, plain=0.0, muon_lr=0.005, adam_lr=1.2e-3, warmup=0.03, decay=0.8),
    Stage(LAST, 123, 4_500_000, plain=0.0, muon_lr=0.005, adam_lr=1.2e-3, warmup=0.03, decay=0.9),
    Stage(EVERYDAY, 11, 3_400_000, plain=0.0, muon_lr=0.004, adam_lr=1e-3, warmup=0.03, decay=0.9),
)


@dataclass(frozen=True)
class Recipe:
    """What fixes the weights. The seed is that of the tokenizer and of the first weights."""

    stages: tuple[Stage, ...] = STAGES
    seed: int = 7
    batch_tokens: int = 2_048
    pool: int = 3_000  # documents drawn at once, sorted by length so that batches waste no padding
    hidden: int = 192
    layers: int = 5
    heads: int = 6
    key_heads: int = 3
    intermediate: int = 512
    context: int = 1024

    @property
    def tokens(self) -> int:
        return sum(stage.tokens for stage in self.stages)


Advance = Callable[[int, float, int], None]


@dataclass(slots=True)
class Batch:
    """Right-padded ids (B, T), and targets (B, T) with -100 where nothing is trained."""

    ids: Tensor
    targets: Tensor
    tokens: int


Row = tuple[list[int], list[int]]  # tokens, targets


def build_network(recipe: Recipe) -> Any:
    """A fresh Qwen3 network of the pocket's size, initialised from the seed."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(recipe.seed)
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=recipe.hidden,
        intermediate_size=recipe.intermediate,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.key_heads,
        head_dim=32,
        max_position_embeddings=recipe.context,
        tie_word_embeddings=True,
        rope_theta=10_000.0,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )
    return Qwen3ForCausalLM(config)


def batches(tokenizer: Any, recipe: Recipe, stage: Stage) -> Iterator[Batch]:
    """Endless fresh batches of about `batch_tokens` tokens, of documents of like length."""
    rng, drawn = random.Random(stage.seed), 0
    while True:
        plain = drawn < stage.plain * stage.tokens
        documents = (
            draw_plain_document(rng) if plain else draw_document(rng, stage.mix)
            for _ in range(recipe.pool)
        )
        rows = [row_of(tokenizer, document) for document in documents]
        drawn += sum(len(ids) for ids, _ in rows)
        yield from grouped(rows, recipe, rng)


def grouped(rows: Sequence[Row], recipe: Recipe, rng: random.Random) -> Iterator[Batch]:
    """Rows of like length side by side, of about `batch_tokens` tokens, in a random order; what is
    longer than the context is left out."""
    groups: list[list[Row]] = [[]]
    for row in sorted((r for r in rows if len(r[0]) <= recipe.context), key=lambda r: len(r[0])):
        if (len(groups[-1]) + 1) * len(row[0]) > recipe.batch_tokens:
            groups.append([])
        groups[-1].append(row)
    rng.shuffle(groups)
    yield from (_padded(group) for group in groups if group)


def row_of(tokenizer: Any, document: Document) -> Row:
    """A document's tokens, and the same as targets, -100 where nothing is learned."""
    ids: list[int] = []
    targets: list[int] = []
    for text, wanted in render(document):
        piece = tokenizer.encode(text, add_special_tokens=False)
        ids += piece
        targets += piece if wanted else [-100] * len(piece)
    return ids, targets


def _padded(rows: list[Row]) -> Batch:
    width = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    targets = torch.full((len(rows), width), -100)
    for i, (row, wanted) in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        targets[i, : len(row)] = torch.tensor(wanted)
    return Batch(ids, targets, sum(len(ids) for ids, _ in rows))


def batch_loss(network: Any, batch: Batch) -> Tensor:
    """Mean cross-entropy in nats over the batch's targets; logits are made for targets alone."""
    hidden = network.model(input_ids=batch.ids[:, :-1]).last_hidden_state  # (B, T-1, H)
    wanted = batch.targets[:, 1:]  # (B, T-1)
    chosen = wanted != -100
    logits = network.lm_head(hidden[chosen])  # (N, V)
    return functional.cross_entropy(logits.float(), wanted[chosen])


def rate(done: float, stage: Stage) -> float:
    """The learning rate's factor after a share `done` of a stage's tokens."""
    if done < stage.warmup:
        return done / stage.warmup
    return min(1.0, (1.0 - done) / stage.decay)


def optimizers(network: nn.Module, stage: Stage) -> list[torch.optim.Optimizer]:
    hidden: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        matrix = parameter.ndim == 2 and "embed" not in name and "lm_head" not in name
        (hidden if matrix else rest).append(parameter)
    return [
        torch.optim.Muon(hidden, lr=stage.muon_lr, weight_decay=0.01, momentum=0.95),
        torch.optim.AdamW(rest, lr=stage.adam_lr, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def train(recipe: Recipe, out: Path, *, quiet: bool = False) -> dict[str, Any]:
    """Train and save. Returns the seconds, tokens and last loss."""
    tokenizer = build_tokenizer(recipe.seed)
    network = build_network(recipe)
    network.train()
    started, loss = time.monotonic(), 0.0
    with _progress(recipe.tokens, quiet) as advance:
        for stage in recipe.stages:
            loss = run_stage(network, batches(tokenizer, recipe, stage), stage, advance)
            network.half().float()  # each stage ends with weights as they are saved
    seconds = time.monotonic() - started
    save(network, tokenizer, recipe, out, seconds)
    return {"seconds": round(seconds), "tokens": recipe.tokens, "loss": round(loss, 4)}


def run_stage(network: Any, drawn: Iterator[Batch], stage: Stage, advance: Advance) -> float:
    """One stage. Returns the loss, smoothed over the last steps."""
    schedule = [(o, o.param_groups[0]["lr"]) for o in optimizers(network, stage)]
    seen, step, smooth = 0, 0, 0.0
    while seen < stage.tokens:
        batch = next(drawn)
        for optimizer, base in schedule:
            for group in optimizer.param_groups:
                group["lr"] = base * rate(seen / stage.tokens, stage)
        loss = batch_loss(network, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimizer, _ in schedule:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        seen, step = seen + batch.tokens, step + 1
        smooth = loss.item() if step == 1 else 0.98 * smooth + 0.02 * loss.item()
        advance(batch.tokens, smooth, step)
    return smooth


def save(network: Any, tokenizer: Any, recipe: Recipe, out: Path, seconds: float) -> None:
    """Write weights (fp16 safetensors), tokenizer, template and the recipe."""
    out.mkdir(parents=True, exist_ok=True)
    network.eval().to(torch.float16)
    network.save_pretrained(out, safe_serialization=True)
    tokenizer.save_pretrained(out)
    facts = {
        "recipe": asdict(recipe),
        "documents_sha256": [documents_digest(stage) for stage in recipe.stages],
        "minutes": round(seconds / 60, 1),
        "torch": torch.__version__,
    }
    (out / "recipe.json").write_text(json.dumps(facts, indent=2) + "\n")


def documents_digest(stage: Stage, documents: int = 1000) -> str:
    """What documents of a stage say: ties shipped weights to the code beside them."""
    rng, digest = random.Random(stage.seed), hashlib.sha256()
    for draw in (draw_plain_document, partial(draw_document, mix=stage.mix)):
        for _ in range(documents):
            for text, wanted in render(draw(rng)):
                digest.update(f"{wanted:d}{text}".encode())
    return digest.hexdigest()


class _progress:  # noqa: N801
    """A rich bar on a terminal, a plain line every 30 s elsewhere."""

    def __init__(self, total: int, quiet: bool) -> None:
        self.total, self.quiet = total, quiet
        self.bar: Any = None
        self.done, self.last, self.start = 0, time.monotonic(), time.monotonic()

    def __enter__(self) -> Any:
        if not self.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import Progress

            self.bar = Progress(console=Console(stderr=True))
            self.bar.start()
            self.task = self.bar.add_task("training", total=self.total)
        return self.advance

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()

    def advance(self, tokens: int, loss: float, step: int) -> None:
        self.done += tokens
        if self.bar is not None:
            self.bar.update(self.task, advance=tokens, description=f"loss {loss:.3f}")
        elif not self.quiet and time.monotonic() - self.last > 30:
            self.last = time.monotonic()
            speed = self.done / (self.last - self.start)
            print(
                f"{self.done / self.total:6.1%}  step {step}  loss {loss:.4f}  {speed:,.0f} tokens/s",
                file=sys.stderr,
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--share", type=float, default=1.0, help="of each stage's tokens, to try")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    stages = tuple(replace(s, tokens=round(chosen.share * s.tokens)) for s in STAGES)
    print(json.dumps(train(Recipe(stages), chosen.out)))


if __name__ == "__main__":
    main()
