"""Training beside TRL and a plain loop, in the same run: `make bench-engine`.

Every row is a process of its own, with the same settings of the memory allocator and threads, and
is kept in .cache/engine-rows.jsonl as it ends: `BENCH_ARGS=--resume` goes on where a run was cut
off. `gpu.py` beside this file measures the shapes of Qwen3-4B and 8B on a card. Prints a table, and
as its last line one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from kept import kept_rows

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
TRL = ROOT / ".cache" / "trl"
ROWS = ROOT / ".cache" / "engine-rows.jsonl"
MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    "MALLOC_TOP_PAD_": "268435456",
}
PARTS = ("8192", "151936", "packing", "tricks")
EPOCHS = 3  # of a night, as measure.py runs it
CONVERSATION = ["--conversation", "--turns", "10", "--batch", "10", "--prompt", "64"]
CONVERSATION += ["--completion", "64", "--context", "32"]


def trl_python() -> str:
    """An environment of its own with TRL, over this one's packages; made when it is missing."""
    python = Path(os.environ.get("TRL_PYTHON", TRL / "bin" / "python"))
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", TRL], check=True)
        packages = next(TRL.glob("lib/python*/site-packages"))
        ours = next(path for path in sys.path if path.endswith("site-packages"))
        (packages / "parent.pth").write_text(ours + "\n")
        wanted = ["trl==1.16.0", "datasets"]
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted], check=True)
    return str(python)


def measured(python: str, script: str, *arguments: str, threads: int) -> dict[str, Any]:
    """One row, from a process of its own, or from the rows that are kept."""
    row = " ".join((script, *arguments, "--threads", str(threads)))
    if row in (rows := kept()):
        return rows[row]
    environment = {
        **os.environ,
        **MALLOC,
        "OMP_NUM_THREADS": str(threads),
        "PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}",
        "TOKENIZERS_PARALLELISM": "false",
    }
    print(f"  {row} ...", file=sys.stderr, flush=True)
    command = [python, str(HERE / script), *arguments, "--threads", str(threads)]
    found = printed(command, environment)
    ROWS.parent.mkdir(exist_ok=True)
    with ROWS.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps({"row": row, "found": found}) + "\n")
    print(f"  {found}", file=sys.stderr, flush=True)
    return found


def printed(command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """The JSON object that a command prints last. Raises SystemExit with what it says of a fault."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def kept() -> dict[str, Any]:
    """The rows measured so far, by their command."""
    return {row["row"]: row["found"] for row in kept_rows(ROWS)}


def one_vocabulary(vocab: int, turns: int, steps: int, threads: int) -> dict[str, Any]:
    """TRL's default, the plain loop and ours at one size of the vocabulary."""
    size = ["--vocab", str(vocab)]
    shape = json.dumps({"vocab": vocab})
    trl = measured(trl_python(), "trl_step.py", "--shape", shape, "--steps", str(steps),
                   threads=threads)  # fmt: skip
    ours = measured(sys.executable, "measure.py", "ours", *size, "--turns", str(turns),
                    threads=threads)  # fmt: skip
    loop = measured(sys.executable, "measure.py", "claas", *size, "--turns", "4", "--epochs", "1",
                    threads=threads)  # fmt: skip
    return {
        f"trl_tokens_s_{vocab}": trl["tokens_s"],
        f"loop_tokens_s_{vocab}": loop["tokens_s"],
        f"ours_tokens_s_{vocab}": ours["tokens_s"],
        f"times_trl_{vocab}": round(ours["tokens_s"] / trl["tokens_s"], 2),
        f"times_loop_{vocab}": round(ours["tokens_s"] / loop["tokens_s"], 2),
        f"trl_peak_mb_{vocab}": trl["peak_above_model_mb"],
        f"ours_peak_mb_{vocab}": ours["peak_above_model_mb"],
        f"peak_share_{vocab}": round(ours["peak_above_model_mb"] / trl["peak_above_model_mb"], 2),
    }


def tricks(vocab: int, turns: int, threads: int) -> dict[str, Any]:
    """What each trick is worth at one size of the vocabulary: time and memory without it."""
    size = ["--vocab", str(vocab), "--turns", str(turns)]

    def row(*way: str) -> dict[str, Any]:
        return measured(sys.executable, "measure.py", *way, *size, threads=threads)

    ours = row("ours")
    others = {
        "whole_logits": row("whole"),
        "checkpointing": row("ours", "--checkpointing"),
        "prompt_without_gradient": row("ours", "--cut"),
        "exact": row("ours", "--exact"),
    }
    again = ours["seconds"] + (EPOCHS - 1) * ours["teacher_s"]
    found = {f"teacher_each_epoch_time_{vocab}": round(again / ours["seconds"], 2)}
    for name, other in others.items():
        found[f"{name}_time_{vocab}"] = round(other["seconds"] / ours["seconds"], 2)
        peak = other["peak_above_model_mb"] / ours["peak_above_model_mb"]
        found[f"{name}_memory_{vocab}"] = round(peak, 2)
    return found


def packing(threads: int) -> dict[str, Any]:
    """A conversation of ten turns, its beginnings read once or ten times."""
    rows = {
        way: measured(sys.executable, "measure.py", way, *CONVERSATION, threads=threads)
        for way in ("ours", "padded")
    }
    one, two = rows["ours"]["tokens_s"], rows["padded"]["tokens_s"]
    return {
        "packed_tokens_s": one,
        "unpacked_tokens_s": two,
        "times_unpacked": round(one / two, 2),
    }


def main() -> None:
    ask = argparse.ArgumentParser()
    ask.add_argument("--only", choices=PARTS, action="append")
    ask.add_argument("--turns", type=int, default=16)
    ask.add_argument("--steps", type=int, default=4)
    ask.add_argument("--threads", type=int, default=1)
    ask.add_argument("--resume", action="store_true", help="keep the rows of a run cut off before")
    given = ask.parse_args()
    ROWS.parent.mkdir(exist_ok=True)
    if not given.resume:
        ROWS.unlink(missing_ok=True)
    figures: dict[str, Any] = {}
    for name in given.only or PARTS:
        if name == "packing":
            figures |= packing(given.threads)
        elif name == "tricks":
            figures |= tricks(8192, given.turns, given.threads)
            figures |= tricks(151_936, given.turns, given.threads)
        else:
            figures |= one_vocabulary(int(name), given.turns, given.steps, given.threads)
    for name, value in figures.items():
        print(f"{name:36} {value:>10}")
    machine = {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": given.threads,
        "python": platform.python_version(),
    }
    print(json.dumps({"name": "engine", "figures": figures, "machine": machine}))


if __name__ == "__main__":
    main()
