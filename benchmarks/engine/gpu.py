"""Training at the shapes of Qwen3-4B and 8B with random weights, on a CUDA card.

For each: tokens a second, the share of the arithmetic's floor (6NT: forward, backward through
frozen weights counted as 4, the teacher's 2 spread over the epochs), peak memory. `--tiny` runs the
same path with small dimensions on any device. NF4 is not measured: a base is quantised
while it is loaded, and these random weights lie in no file. Prints one JSON line a shape.
"""

from __future__ import annotations

import argparse
import json

import torch
from engine.measure import night, peak_mb
from engine.shapes import QWEN3_4B, QWEN3_8B, build, device_for, separate_turns, tiny


def main() -> None:
    ask = argparse.ArgumentParser()
    ask.add_argument("--shape", choices=("4b", "8b"), action="append")
    ask.add_argument("--turns", type=int, default=16)
    ask.add_argument("--epochs", type=int, default=3)
    ask.add_argument("--tokens", type=int, default=4096, help="tokens of one pass")
    ask.add_argument("--peak-tflops", type=float, default=0.0, help="of the card, in bf16")
    ask.add_argument("--tiny", action="store_true")
    given = ask.parse_args()
    device = device_for(given.tiny)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    for name in given.shape or ["4b", "8b"]:
        shape = {"4b": QWEN3_4B, "8b": QWEN3_8B}[name]
        shape = tiny(shape) if given.tiny else shape
        model = build(shape, device, dtype)
        size = sum(p.numel() for p in model.network().parameters())
        pairs = separate_turns(shape, given.turns)
        night(model, pairs[:1], 1, 1, given.tokens, 64)  # kernels are chosen, memory is laid out
        found = night(model, pairs, shape.batch, given.epochs, given.tokens, 64)
        read = sum(len(pair.student_ids) for pair in pairs) * given.epochs
        rate = read / found["seconds"]
        row = {
            "shape": name,
            "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
            "parameters": size,
            "tokens_s": round(rate, 1),
            "peak_gb": round(peak_mb(model.device) / 1024, 2),
            "seconds": round(found["seconds"], 2),
        }
        if given.peak_tflops:
            row["share_of_floor"] = round(rate * 6 * size / (given.peak_tflops * 1e12), 3)
        print(json.dumps(row))
        del model


if __name__ == "__main__":
    main()
