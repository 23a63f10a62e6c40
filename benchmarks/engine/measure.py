"""One way of training at one shape, in a process of its own: prints one JSON line.

Ways: `ours` (a night of three epochs, the teacher's side computed once and counted), `padded` (the
same without sharing beginnings), `whole` (the same with whole logits), `claas` (a loop as CLaaS runs
it: one sample at a time, three forward passes, whole logits, JSD).
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import time
from pathlib import Path
from typing import Any

import torch
from engine.shapes import RANK, Shape, build, conversation, separate_turns

from align_agent.distill import gradient, teacher
from align_agent.distill.batches import families_of, plan_batches
from align_agent.distill.gradient import Lesson, gradient_of, train_mode
from align_agent.distill.loss import Formula
from align_agent.distill.teacher import teacher_rows
from align_agent.models import tree


def peak_mb(device: torch.device) -> float:
    """The most that was held since `start_counting`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 2**20
    return _status_mb("VmHWM")


def start_counting(device: torch.device) -> float:
    """Give back what was freed, forget the peak so far, and say how much is held now, in MB."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status_mb("VmRSS")


def _status_mb(name: str) -> float:
    with Path("/proc/self/status").open() as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def finish(device: torch.device) -> float:
    """Seconds: of the wall on a card, of the processor on one thread, where other work on the
    machine would otherwise be counted as well."""
    if device.type == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def night(
    model: Any,
    pairs: list,
    batch: int,
    epochs: int,
    tokens: int,
    top_k: int,
    exact: bool = False,
    *,
    prompt_gradient: bool = True,
    compiled: bool = False,
    checkpointing: bool = False,
) -> dict:
    """A night over the pairs: seconds in all, for the teacher, and for each step."""
    student = model.fresh_lora(RANK, 32, 0.0, 0)
    train_mode(student, checkpointing)
    network = student.get_base_model()
    if compiled:
        tree.can_pack(network)  # what finds out how it may attend is not to be compiled
        network.model.forward = torch.compile(network.model.forward, dynamic=True)
    weights = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-3, weight_decay=0.0)
    formula = Formula(token_clip=10.0, sample_cap=2.0)
    started = finish(model.device)
    rows = teacher_rows(model, pairs, top_k, exact=exact, tokens=tokens)
    taught = finish(model.device) - started
    lessons = [Lesson(*one) for one in zip(pairs, rows, strict=True)]
    sequences = [pair.student_ids for pair in pairs]
    steps = []
    for chosen in plan_batches(
        [len(s) for s in sequences], batch, epochs, 0, families_of(sequences)
    ):
        begun = finish(model.device)
        gradient_of(network, [lessons[i] for i in chosen], formula, tokens, prompt_gradient)
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        steps.append(finish(model.device) - begun)
    return {"seconds": finish(model.device) - started, "teacher": taught, "steps": steps}


def claas(model: Any, pairs: list, epochs: int) -> dict:
    """One sample at a time: student, teacher and reference, whole logits, JSD, a step each."""
    student = model.fresh_lora(RANK, 32, 0.0, 0)
    network, base = student.get_base_model(), model.network(None)
    weights = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=1e-3, weight_decay=0.0)
    steps = []
    started = finish(model.device)
    for _ in range(epochs):
        for pair in pairs:
            begun = finish(model.device)
            ids = torch.tensor([pair.student_ids], device=model.device)
            told = torch.tensor([pair.teacher_ids], device=model.device)
            logits = network(input_ids=ids, use_cache=False).logits[0, list(pair.student_positions)]
            with torch.no_grad():
                hint = base(input_ids=told, use_cache=False).logits[0, list(pair.teacher_positions)]
                held = base(input_ids=ids, use_cache=False).logits[0, list(pair.student_positions)]
            p, q, r = (x.float().log_softmax(-1) for x in (logits, hint, held))
            m = torch.logaddexp(p, q) - torch.log(torch.tensor(2.0))
            jsd = 0.5 * ((p.exp() * (p - m)).sum(-1) + (q.exp() * (q - m)).sum(-1))
            drift = (p.exp() * (p - r)).sum(-1)
            (jsd + 0.01 * drift).mean().backward()
            torch.nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            steps.append(finish(model.device) - begun)
    return {"seconds": finish(model.device) - started, "teacher": 0.0, "steps": steps}


def parse() -> argparse.Namespace:
    ask = argparse.ArgumentParser()
    ask.add_argument("way", choices=("ours", "padded", "whole", "claas"))
    ask.add_argument("--vocab", type=int, default=8192)
    ask.add_argument("--turns", type=int, default=16)
    ask.add_argument("--epochs", type=int, default=3)
    ask.add_argument("--top-k", type=int, default=100)
    ask.add_argument("--prompt", type=int, default=128)
    ask.add_argument("--context", type=int, default=64)
    ask.add_argument("--completion", type=int, default=128)
    ask.add_argument("--batch", type=int, default=8)
    ask.add_argument("--tokens", type=int, default=16_384)
    ask.add_argument("--conversation", action="store_true")
    ask.add_argument("--exact", action="store_true")
    ask.add_argument("--cut", action="store_true", help="no gradient through the prompt")
    ask.add_argument("--checkpointing", action="store_true", help="each layer computed twice")
    ask.add_argument("--compile", action="store_true", help="torch.compile, its time counted")
    ask.add_argument("--threads", type=int, default=1)
    return ask.parse_args()


def main() -> None:
    given = parse()
    torch.set_num_threads(given.threads)
    shape = Shape(
        vocab=given.vocab,
        prompt=given.prompt,
        context=given.context,
        completion=given.completion,
        batch=given.batch,
    )
    model = build(shape)
    pairs = (conversation if given.conversation else separate_turns)(shape, given.turns)
    warm = separate_turns(shape, 1)
    loaded = start_counting(model.device)
    if given.way == "padded":
        tree.can_pack = lambda network: False
    if given.way == "whole":
        gradient.has_plain_head = teacher.has_plain_head = lambda network: False
    if given.way == "claas":
        claas(model, warm, 1)
        found = claas(model, pairs, given.epochs)
    else:
        night(model, warm, 1, 1, given.tokens, given.top_k, given.exact)
        found = night(
            model,
            pairs,
            given.batch,
            given.epochs,
            given.tokens,
            given.top_k,
            given.exact,
            prompt_gradient=not given.cut,
            compiled=given.compile,
            checkpointing=given.checkpointing,
        )
    answered = given.epochs * sum(len(pair.targets) for pair in pairs)
    print(
        json.dumps(
            {
                "way": given.way,
                "tokens_s": round(answered / found["seconds"], 1),
                "seconds": round(found["seconds"], 2),
                "teacher_s": round(found["teacher"], 2),
                "step_s": round(sorted(found["steps"])[len(found["steps"]) // 2], 3),
                "peak_above_model_mb": round(peak_mb(model.device) - loaded),
            }
        )
    )


if __name__ == "__main__":
    main()
