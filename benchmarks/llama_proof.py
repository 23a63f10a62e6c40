"""What the run on a real llama-server and its test share: versions to serve, processes, answers.

Taught here means trained: each style's answers are drawn from the base that has the style's rule
in its prompt, and a LoRA learns to give them without it. That is what a night does, without its
log, its gate and its minutes.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import torch

import align_agent
from align_agent.adapters.registry import Registry
from align_agent.cli import main as command_line
from align_agent.directions import DIRECTIONS
from align_agent.models.generation import Sampling
from align_agent.models.local import LocalModel
from align_agent.models.pocket.world import draw_problems
from align_agent.paths import Home
from align_agent.prompts import with_rules
from align_agent.records import Message, Run
from align_agent.store import Store

ROOT = Path(align_agent.__file__).parents[1]
ENV_SERVER = "ALIGN_AGENT_LLAMA_SERVER"
CACHED = ROOT / ".cache" / "llama" / "llama-server"
KINDS = ("sum", "difference", "product", "two_step", "fact", "grading")
STYLES = ("format:plain", "tone:warm")
LONGEST = 96
GREEDY = Sampling(max_new_tokens=LONGEST, temperature=0.0)


def find_server() -> Path | None:
    """llama-server: as the environment names it, as `make test-llama` built it, or on the path."""
    named = os.environ.get(ENV_SERVER)
    if named:
        return Path(named)
    if CACHED.exists():
        return CACHED
    found = shutil.which("llama-server")
    return Path(found) if found else None


def questions(each: int, seed: str) -> list[str]:
    """Unseen questions of the pocket world, `each` of every kind."""
    return [p.question for kind in KINDS for p in draw_problems(kind, each, seed)]


def local_answers(model: LocalModel, asked: Sequence[str], adapter: Path | None) -> list[str]:
    """Transformers' greedy answers."""
    prompts = [[Message("user", question)] for question in asked]
    return [g.text for g in model.generate_batch(prompts, sampling=GREEDY, adapter=adapter)]


def teach(home: Home, model: LocalModel, steps: int, examples: int) -> None:
    """Two versions in `home`, one for each of STYLES. Nothing is promoted yet."""
    asked = questions(-(-examples // len(KINDS)), "lessons")[:examples]
    with Store.open(home.database) as store:
        registry = Registry(store, home)
        for number, style in enumerate(STYLES, 1):
            rule = DIRECTIONS[style].text
            shown = [with_rules([Message("user", question)], [rule]) for question in asked]
            taught = [g.text for g in model.generate_batch(shown, sampling=GREEDY)]
            run = f"run-{number}"
            store.runs.create(Run(run, "promoted", base=model.base))
            staged = home.runs / run / "adapter"
            staged.mkdir(parents=True)
            train(model, list(zip(asked, taught, strict=True)), steps, number, staged)
            registry.register(
                staged, base=model.base, base_hash=model.base_hash, run_id=run, verdict="promote"
            )


def train(
    model: LocalModel, lessons: Sequence[tuple[str, str]], steps: int, seed: int, target: Path
) -> None:
    """A LoRA that gives these answers to these questions, written to `target`."""
    turns = [
        model.encode_turn([Message("user", question)], [Message("assistant", answer)])
        for question, answer in lessons
    ]
    student = model.fresh_lora(16, 32.0, 0.0, seed)
    weights = [p for p in student.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=3e-3)
    picks = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        losses = []
        for place in torch.randint(len(turns), (8,), generator=picks).tolist():
            ids, mask = turns[place]
            logits = student(torch.tensor([ids])).logits[0, :-1]
            learned = torch.tensor(mask[1:])
            losses.append(
                torch.nn.functional.cross_entropy(logits[learned], torch.tensor(ids[1:])[learned])
            )
        optimizer.zero_grad()
        torch.stack(losses).mean().backward()
        optimizer.step()
    model.save_lora(student, target)


def export(home: Home, version: str, folder: Path, *more: str) -> Path:
    """A GGUF file, written by the command line as a person would."""
    name = "align-base.gguf" if version == "base" else f"align-v000{version[1:]}.gguf"
    args = ["adapters", "export", version, "--format", "gguf", "--out", str(folder), *more]
    if command_line(["--home", str(home.root), *args]):
        raise RuntimeError(f"{' '.join(args)} failed")
    return folder / name


@contextmanager
def process(command: Sequence[object], log: Path, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program whose output goes to `log`, until the block ends."""
    with log.open("wb") as out:
        started = subprocess.Popen(
            [str(part) for part in command],
            stdout=out,
            stderr=subprocess.STDOUT,
            env=os.environ | {"OMP_NUM_THREADS": "1", **env},
        )
        try:
            yield started
        finally:
            started.terminate()
            started.wait(30)


@contextmanager
def llama(
    server: Path, folder: Path, base: Path, loras: Sequence[Path], slots: int, *more: str
) -> Iterator[str]:
    """llama-server with these files; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lora = ["--lora", ",".join(map(str, loras))] if loras else []
    command = [server, "-m", base, *lora, "--host", "127.0.0.1", "--port", port]
    command += ["-t", 1, "-np", slots, "-c", 1024 * slots, *more]
    log = folder / "llama.log"
    with process(command, log) as started:
        url = f"http://127.0.0.1:{port}"
        while True:
            if started.poll() is not None:
                raise RuntimeError(log.read_text(errors="replace")[-2000:])
            try:
                if httpx.get(f"{url}/health").status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            time.sleep(0.05)
        yield url


@contextmanager
def door(home: Home, upstream: str, **facts: object) -> Iterator[str]:
    """`align-agent serve` before llama-server; yields its address."""
    settings = {"base_url": f"{upstream}/v1", "kind": "llamacpp", **facts}
    home.config.write_text(json.dumps({"upstream": settings}))  # JSON is YAML
    log = home.root / "serve.log"
    command = [sys.executable, "-m", "align_agent", "--home", home.root, "serve", "--port", 0]
    with process(command, log) as started:
        while True:
            told = log.read_text(errors="replace")
            if started.poll() is not None:
                raise RuntimeError(told)
            if found := re.search(r"serving on (http://[\d.:]+)/v1", told):
                break
            time.sleep(0.05)
        yield found[1]


def door_answers(url: str, asked: Sequence[str], model: str) -> list[tuple[str, str]]:
    """(answer, the version that is told) of each question, greedily."""
    found = []
    with httpx.Client(timeout=300) as client:
        for question in asked:
            body = {
                "model": model,
                "messages": [{"role": "user", "content": question}],
                "temperature": 0,
                "max_tokens": LONGEST,
            }
            told = client.post(f"{url}/v1/chat/completions", json=body)
            if told.status_code != 200:
                raise RuntimeError(told.text)
            made = told.json()
            found.append((made["choices"][0]["message"]["content"], made["model"]))
    return found


def agreement(url: str, model: str, asked: Sequence[str], expected: Sequence[str]) -> float:
    """The share of questions that are answered word for word as expected, whoever is named."""
    found = [answer for answer, _ in door_answers(url, asked, model)]
    return sum(a == b for a, b in zip(found, expected, strict=True)) / len(asked)


def move(home: Home, how: str) -> None:
    """`promote v1`, `rollback`, `release`: what a person types."""
    if command_line(["--home", str(home.root), "adapters", *how.split()]):
        raise RuntimeError(f"align-agent adapters {how} failed")
