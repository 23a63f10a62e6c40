"""A search's two costs at the shapes of Qwen3-4B and 8B, with random weights, on a CUDA card:
attempts of the student, and the step on a batch of them. `make bench-solve-gpu`.

A batch is what `align-agent solve` does between two looks at its feedback: 16 attempts, then the
teacher's side of them and one gradient. `--tiny` runs the same path with small dimensions on any
device, and is all that was run so far: no card was to be had. Sandbox and verifier are left out: they
cost the processor, not the card. Prints a table and, last, one JSON object.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from engine.measure import finish, night, peak_mb
from engine.shapes import QWEN3_4B, QWEN3_8B, RANK, Shape, build, device_for, separate_turns, tiny
from report import report

from align_agent.discover.methods import BATCH
from align_agent.distill.pairs import Pair
from align_agent.models.decoding import Decoder, noise
from align_agent.models.generation import Sampling

SHAPES = {"4b": QWEN3_4B, "8b": QWEN3_8B}
TOP_K = 20
HEAD = ("shape", "attempts a batch", "tokens a second, all attempts", "attempts a minute",
        "peak of the attempts, GB", "a step, s", "of it the teacher, s", "peak of a step, GB",
        "attempts a minute, steps counted")  # fmt: skip


def attempts(network: Any, shape: Shape, prompt: list[int], count: int) -> float:
    """Seconds for so many attempts at one prompt, all of full length."""
    device = network.device
    began = finish(device)
    uniform = noise(0, range(count), shape.completion)
    sampling = Sampling(shape.completion, 1.0, seed=0)
    decoder = Decoder(network, [prompt] * count, uniform, sampling, 0)
    for _ in range(shape.completion):  # random weights know no end of turn
        decoder.step()
    return finish(device) - began


def from_here(device: torch.device) -> None:
    """Peaks count from now on, where they can be told apart."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def one_shape(shape: Shape, count: int, tokens: int, device: str) -> dict[str, float]:
    """A batch of attempts and the step on it, each once before it is timed."""
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    model = build(shape, device, dtype)
    student = model.fresh_lora(RANK, 32, 0.0, 0).get_base_model()
    pairs: list[Pair] = separate_turns(shape, count)
    prompt = list(pairs[0].student_ids[: shape.prompt])
    attempts(student, shape, prompt, 1)
    from_here(model.device)
    writing = attempts(student, shape, prompt, count)
    peak_writing = peak_mb(model.device) / 1024
    del student
    night(model, pairs[:1], 1, 1, tokens, TOP_K)
    from_here(model.device)
    found = night(model, pairs, count, 1, tokens, TOP_K)
    return {
        "tokens_s": count * shape.completion / writing,
        "attempts_minute": 60 * count / writing,
        "attempts_peak_gb": peak_writing,
        "step_s": found["seconds"],
        "teacher_s": found["teacher"],
        "step_peak_gb": peak_mb(model.device) / 1024,
        "search_attempts_minute": 60 * count / (writing + found["seconds"]),
    }


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--shape", choices=tuple(SHAPES), action="append")
    ask.add_argument("--batch", type=int, action="append", help="attempts a batch (default: 16)")
    ask.add_argument("--tokens", type=int, default=8192, help="tokens of one training pass")
    ask.add_argument("--tiny", action="store_true")
    given = ask.parse_args()
    device = device_for(given.tiny)
    rows, figures = [], {}
    for name in given.shape or list(SHAPES):
        shape = tiny(SHAPES[name]) if given.tiny else SHAPES[name]
        for count in given.batch or [BATCH]:
            found = one_shape(shape, count, given.tokens, device)
            rows.append([name, count, *found.values()])
            figures |= {f"{name}_{count}_{key}": round(x, 3) for key, x in found.items()}
    figures["device"] = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    report("solve_gpu", rows, figures, "torch", head=HEAD)


if __name__ == "__main__":
    main()
