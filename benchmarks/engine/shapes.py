"""What the engine's benchmark trains: a random Qwen3 of a given shape, and token ids for it."""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import torch

from align_agent.distill.pairs import Pair
from align_agent.models import lora, shortage

RANK = 16


@dataclass(frozen=True)
class Shape:
    """A network and a batch; the lengths are tokens."""

    vocab: int = 8192
    hidden: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    inter: int = 768
    head_dim: int = 64
    batch: int = 8
    prompt: int = 128
    context: int = 64
    completion: int = 128
    tied: bool = True

    @property
    def parameters(self) -> int:
        """Weights of the network, but for the norms' few."""
        attention = self.hidden * self.head_dim * 2 * (self.heads + self.kv_heads)
        layer = attention + 3 * self.hidden * self.inter
        return self.layers * layer + self.vocab * self.hidden * (1 if self.tied else 2)


QWEN3_4B = Shape(151_936, 2560, 36, 32, 8, 9728, 128, 8, 1024, 256, 256)
QWEN3_8B = Shape(151_936, 4096, 36, 32, 8, 12_288, 128, 8, 1024, 256, 256, tied=False)


def build(shape: Shape, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Any:
    """A random network of this shape behind the few names of a LocalModel that training reads."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    config = Qwen3Config(
        vocab_size=shape.vocab,
        hidden_size=shape.hidden,
        intermediate_size=shape.inter,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        max_position_embeddings=8192,
        tie_word_embeddings=shape.tied,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    torch.manual_seed(0)
    with torch.device(device):
        before = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            network = Qwen3ForCausalLM(config)
        finally:
            torch.set_default_dtype(before)
    return _model(network, shape, dtype)


def build_packed(shape: Shape, device: str, computed: torch.dtype) -> Any:
    """The same network in 4 bits: written to a folder and loaded again, as a base is quantised."""
    from transformers import AutoModelForCausalLM

    from align_agent.models.quantize import in_four_bits, keep_as_stored

    with tempfile.TemporaryDirectory(prefix="shape-") as folder:
        made = build(shape, device, computed).network()
        made.save_pretrained(folder)
        del made
        shortage.give_back()
        packed = in_four_bits(computed, torch.device(device))
        network = AutoModelForCausalLM.from_pretrained(folder, dtype=computed, **packed)
    keep_as_stored(network)
    return _model(network, shape, computed)


def _model(network: Any, shape: Shape, dtype: torch.dtype) -> Any:
    network = network.eval().requires_grad_(False)
    return SimpleNamespace(
        network=lambda adapter=None: network,
        fresh_lora=lambda rank, alpha, dropout, seed: lora.fresh_lora(
            network, rank=rank, alpha=alpha, dropout=dropout, seed=seed
        ),
        device=network.device,
        dtype=dtype,
        vocab_size=shape.vocab,
        base_hash="random",
    )


def separate_turns(shape: Shape, count: int) -> list[Pair]:
    """Turns that have nothing in common."""
    chance = random.Random(0)

    def draw(n: int) -> tuple[int, ...]:
        return tuple(chance.randrange(2, min(shape.vocab, 8192)) for _ in range(n))

    return [
        _pair(draw(shape.prompt), draw(shape.context), draw(shape.completion)) for _ in range(count)
    ]


def conversation(shape: Shape, turns: int) -> list[Pair]:
    """The turns of one conversation: each prompt is all that was said before it."""
    rows = separate_turns(shape, turns)
    history: tuple[int, ...] = ()
    found = []
    for row in rows:
        said = row.student_ids[: -shape.completion]
        extra = row.teacher_ids[shape.prompt : shape.prompt + shape.context]
        found.append(_pair((*history, *said), extra, row.targets))
        history = (*history, *row.student_ids)
    return found


def _pair(prompt: tuple[int, ...], extra: tuple[int, ...], answer: tuple[int, ...]) -> Pair:
    def positions(start: int) -> tuple[int, ...]:
        return tuple(start - 1 + i for i in range(len(answer)))

    return Pair(
        (*prompt, *answer),
        positions(len(prompt)),
        (*prompt, *extra, *answer),
        positions(len(prompt) + len(extra)),
        answer,
    )


def device_for(tiny: bool) -> str:
    """The card; the CPU for small shapes where there is none. Raises SystemExit."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not tiny:
        raise SystemExit("no CUDA card here: --tiny runs the same path on the CPU")
    return device


def tiny(shape: Shape) -> Shape:
    """The same with dimensions that a CPU gets through in a second."""
    return replace(
        shape,
        vocab=512,
        hidden=64,
        layers=2,
        heads=2,
        kv_heads=1,
        inter=128,
        head_dim=32,
        batch=2,
        prompt=24,
        context=8,
        completion=16,
    )
