"""Training at the shapes of Qwen3-4B and 8B with random weights, on a CUDA card, TRL beside it.

Rows, for each shape in bf16 and in NF4:
- `train`: 1,024 tokens asked, 256 of hindsight, 256 answered, in batches of 8;
- `long`: conversations of 4,096 tokens one at a time, each layer computed twice (the aims: 4B
  within 12 GB, 8B within 24);
- `night`: 200 turns of 1,000 tokens, three epochs, the teacher's side counted;
- `trl`: TRL's SDFT on logged completions at the shape of `train`, bf16 alone.
Each has tokens a second, the share of the arithmetic's floor (6NT: forward, backward through frozen
weights counted as 4, the teacher's 2 spread over the epochs) and the peak. `--tiny` runs the same
paths with small dimensions on any device. Prints one JSON line a row.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from engine.measure import night, peak_mb, start_counting
from engine.run import HERE, ROOT, printed, trl_python
from engine.shapes import (
    QWEN3_4B,
    QWEN3_8B,
    Shape,
    build,
    build_packed,
    device_for,
    separate_turns,
    tiny,
)

from align_agent.models import shortage

SHAPES = {"4b": QWEN3_4B, "8b": QWEN3_8B}
ROWS = ("train", "long", "night", "trl")
FORMATS = ("bf16", "nf4")


@dataclass(frozen=True)
class Work:
    """What one row trains on: turns, and how their tokens go through."""

    shape: Shape
    turns: int
    epochs: int = 3
    tokens: int = 4096  # of one pass
    checkpointing: bool = False


def works(shape: Shape, small: bool) -> dict[str, Work]:
    """Our rows at a shape, by name."""
    length, turns, each = (64, 4, 40) if small else (4096, 200, 1000)
    long = replace(shape, batch=1, prompt=length - shape.completion)
    whole = replace(shape, prompt=each - shape.completion)
    return {
        "train": Work(shape, 2 if small else 16),
        "long": Work(long, 2, 1, length + long.context, checkpointing=True),
        "night": Work(whole, turns),
    }


def ours(model: Any, work: Work) -> dict[str, Any]:
    """The figures of one row."""
    pairs = separate_turns(work.shape, work.turns)
    weights = start_counting(model.device)
    # kernels are chosen and memory is laid out before the clock starts
    night(model, pairs[:1], 1, 1, work.tokens, 64, checkpointing=work.checkpointing)
    found = night(
        model,
        pairs,
        work.shape.batch,
        work.epochs,
        work.tokens,
        64,
        checkpointing=work.checkpointing,
    )
    read = sum(len(pair.student_ids) for pair in pairs) * work.epochs
    return {
        "tokens_s": round(read / found["seconds"], 1),
        "completion_tokens_s": round(
            work.turns * work.shape.completion * work.epochs / found["seconds"], 1
        ),
        "seconds": round(found["seconds"], 2),
        "peak_gb": round(peak_mb(model.device) / 1024, 2),
        "weights_gb": round(weights / 1024, 2),
    }


def trl(shape: Shape, device: str) -> dict[str, Any]:
    """TRL's figures at a shape, from a process and an environment of its own. Its tokenizer knows
    8,192 words, so a smaller head is widened to that."""
    wide = replace(shape, vocab=max(shape.vocab, 8192))
    command = [trl_python(), str(HERE / "trl_step.py"), "--shape", json.dumps(asdict(wide))]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}"}
    return printed([*command, "--device", device], environment)


def main() -> None:
    ask = argparse.ArgumentParser()
    ask.add_argument("--shape", choices=tuple(SHAPES), action="append")
    ask.add_argument("--rows", choices=ROWS, nargs="+", default=ROWS)
    ask.add_argument("--formats", choices=FORMATS, nargs="+", default=FORMATS)
    ask.add_argument("--peak-tflops", type=float, default=0.0, help="of the card, in bf16")
    ask.add_argument("--tiny", action="store_true")
    given = ask.parse_args()
    device = device_for(given.tiny)
    computed = torch.bfloat16 if device == "cuda" else torch.float32
    machine = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    for name in given.shape or SHAPES:
        shape = tiny(SHAPES[name]) if given.tiny else SHAPES[name]
        for stored in given.formats:
            made = (build_packed if stored == "nf4" else build)(shape, device, computed)
            size = shape.parameters
            for row, work in works(shape, given.tiny).items():
                if row not in given.rows:
                    continue
                found = ours(made, work)
                if given.peak_tflops:
                    floor = given.peak_tflops * 1e12
                    found["share_of_floor"] = round(found["tokens_s"] * 6 * size / floor, 3)
                told = {"row": row, "shape": name, "format": stored, "device": machine}
                print(json.dumps({**told, "parameters": size, **found}), flush=True)
            del made
            shortage.give_back()
        if "trl" in given.rows and "bf16" in given.formats:
            told = {"row": "trl", "shape": name, "format": "bf16", "device": machine}
            print(json.dumps({**told, **trl(shape, device)}), flush=True)


if __name__ == "__main__":
    main()
