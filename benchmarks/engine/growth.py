"""How time and memory grow with the number of turns and their length: `make bench-growth`.

Every point is a process of its own, so that its peak of memory is its own. Choosing runs over a
real database, training over random networks: one epoch of real steps with the teacher's side
computed before, nothing extrapolated. Prints the points with a straight line through each curve,
draws them, and as its last line prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PICTURE = HERE.parent.parent / "docs" / "benchmarks" / "growth.svg"
TURNS = (100, 300, 1000, 3000, 10_000)
LENGTHS = (128, 256, 512, 1024, 2048, 4096)
LONG_LOG = 100_000
CURVES = {
    "choose": "choosing a night's turns, by turns in the log",
    "quiet": "the same where nobody ever complains and no rule is broken",
    "cache": "the teacher's side, by turns",
    "train": "an epoch of training, by turns",
    "length": "an epoch of 8 turns, by tokens a turn",
}


LOGS = ("choose", "quiet")


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__)
    ask.add_argument("--point", nargs=2, metavar=("CURVE", "N"), help="measure this one, print it")
    ask.add_argument("--threads", type=int, default=1)
    ask.add_argument("--quick", action="store_true", help="the smallest points alone, no picture")
    given = ask.parse_args()
    if given.point:
        curve, n = given.point
        print(json.dumps(point(curve, int(n), given.threads)))
        return
    from engine.run import measured
    from report import machine

    figures: dict[str, Any] = {}
    found: dict[str, list[dict[str, float]]] = {}
    for curve in CURVES:
        sizes = LENGTHS if curve == "length" else TURNS
        if curve in LOGS:
            sizes = (*sizes, LONG_LOG)
        for n in sizes[:2] if given.quick else sizes:
            one = measured(
                sys.executable, "growth.py", "--point", curve, str(n), threads=given.threads
            )
            found.setdefault(curve, []).append({"n": n, **one})
        figures |= told(curve, found[curve])
    if not given.quick:
        from engine.picture import draw

        shown = {CURVES[name]: rows for name, rows in found.items()}
        PICTURE.write_text(draw(shown, "Time and memory against number and length of turns"))
    print(json.dumps({"name": "growth", "figures": figures, "machine": machine("torch")}))


def point(curve: str, n: int, threads: int) -> dict[str, float]:
    """Seconds of the processor, and MB at most above what was there before."""
    if curve in LOGS:
        return choosing(n, quiet=curve == "quiet")
    import torch
    from engine.shapes import Shape, build, separate_turns, tiny

    torch.set_num_threads(threads)
    if curve == "length":
        shape = Shape(batch=2, prompt=n // 2, completion=n // 2, context=32)
        return training(build(shape), separate_turns(shape, 8), 2)
    shape = tiny(Shape())
    model = build(shape)
    pairs = separate_turns(shape, n)
    return caching(model, pairs) if curve == "cache" else training(model, pairs, 8)


def choosing(n: int, *, quiet: bool = False) -> dict[str, float]:
    """What `select` does at the beginning of a night, over a log of `n` turns on the disk."""
    import torch
    from engine.logs import fill
    from engine.measure import peak_mb, start_counting

    from align_agent.config import Config
    from align_agent.night import plan
    from align_agent.paths import Home
    from align_agent.store import Store

    cpu = torch.device("cpu")
    with tempfile.TemporaryDirectory() as folder:
        # In another process: its memory is not ours.
        writer = multiprocessing.get_context("spawn").Process(
            target=fill, args=(Path(folder), n, quiet)
        )
        writer.start()
        writer.join()
        with Store.open(Home(Path(folder)).database) as store:
            wishes = plan.Wishes(store, Config())
            loaded = start_counting(cpu)
            begun, wall = time.process_time(), time.perf_counter()
            chosen, _ = plan.tonight(store, Config(), wishes, plan.serving(store))
            seconds, wall = time.process_time() - begun, time.perf_counter() - wall
    assert bool(chosen.train) != quiet
    return {
        "seconds": round(seconds, 3),
        "wall_seconds": round(wall, 3),
        "mb": round(peak_mb(cpu) - loaded, 1),
    }


def caching(model: Any, pairs: list[Any]) -> dict[str, float]:
    """The teacher's side of `n` turns, into memory-mapped files."""
    from engine.measure import finish, peak_mb, start_counting

    from align_agent.distill.teacher import teacher_rows

    with tempfile.TemporaryDirectory() as folder:
        loaded, begun = start_counting(model.device), finish(model.device)
        teacher_rows(model, pairs, 20, folder=Path(folder))
        seconds = finish(model.device) - begun
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 2**20
        # Pages of the mapped files count as memory here, and can be given back at any time.
        return {
            "seconds": round(seconds, 3),
            "mb": round(peak_mb(model.device) - loaded, 1),
            "file_mb": round(size, 2),
        }


def training(model: Any, pairs: list[Any], batch: int) -> dict[str, float]:
    """One epoch, the teacher's side counted."""
    from engine.measure import night, peak_mb, start_counting

    night(model, pairs[:1], 1, 1, 16_384, 20)  # what is done once only
    loaded = start_counting(model.device)
    found = night(model, pairs, batch, 1, 16_384, 20)
    return {"seconds": round(found["seconds"], 3), "mb": round(peak_mb(model.device) - loaded, 1)}


def told(curve: str, rows: list[dict[str, float]]) -> dict[str, Any]:
    """Print a curve's points; its figures, with the straight lines through time and memory."""
    print(f"\n{CURVES[curve]}\n{'n':>8} {'seconds':>9} {'per 1,000':>10} {'MB':>8}")
    for row in rows:
        each = 1000 * row["seconds"] / row["n"]
        print(f"{row['n']:8,} {row['seconds']:9.3f} {each:10.3f} {row['mb']:8.1f}")
    figures: dict[str, Any] = {f"{curve}_seconds_{row['n']:.0f}": row["seconds"] for row in rows}
    if "wall_seconds" in rows[-1]:
        figures[f"{curve}_wall_seconds_{rows[-1]['n']:.0f}"] = rows[-1]["wall_seconds"]
    for name in ("seconds", "mb"):
        slope, start, explained = line([r["n"] for r in rows], [r[name] for r in rows])
        print(f"  {name} = {start:.4g} + {slope:.4g} n, R2 {explained:.4f}")
        figures |= {f"{curve}_{name}_slope": slope, f"{curve}_{name}_r2": round(explained, 4)}
    return figures


def line(xs: list[float], ys: list[float]) -> tuple[float, float, float]:
    """Slope, intercept and R2 of the least squares' line."""
    n = len(xs)
    mx, my = sum(xs) / n, sum(ys) / n
    spread = sum((x - mx) ** 2 for x in xs)
    slope = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / spread
    start = my - slope * mx
    left = sum((y - start - slope * x) ** 2 for x, y in zip(xs, ys, strict=True))
    total = sum((y - my) ** 2 for y in ys)
    return slope, start, 1 - left / total if total else 1.0


if __name__ == "__main__":
    main()
