"""The engine's benchmark runs: the card's path too, with small dimensions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("gpu.py", ["--tiny", "--shape", "4b", "--rows", "train", "long", "night"]),
        ("measure.py", ["ours", "--cut", "--vocab", "64", "--turns", "2", "--epochs", "1"]),
        ("measure.py", ["whole", "--vocab", "64", "--turns", "2", "--checkpointing"]),
        ("measure.py", ["claas", "--vocab", "64", "--turns", "1", "--epochs", "1"]),
    ],
)
@pytest.mark.long
def test_a_script_prints_its_figures(script: str, arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "engine" / script), *arguments],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1])["tokens_s"] > 0


@pytest.mark.parametrize("curve", ["cache", "train", "length", "choose", "quiet"])
def test_every_curve_of_growth_is_measured_by_real_work(curve: str) -> None:
    from engine.growth import point

    found = point(curve, 64 if curve == "length" else 30, torch.get_num_threads())
    assert found["seconds"] > 0


def test_parameters_are_counted_as_the_network_has_them() -> None:
    from engine.shapes import QWEN3_8B, Shape, build, tiny

    for shape in (Shape(), tiny(QWEN3_8B)):
        matrices = [p for p in build(shape).network().parameters() if p.ndim == 2]
        assert sum(p.numel() for p in matrices) == shape.parameters


def test_a_shape_in_four_bits_learns() -> None:
    pytest.importorskip("bitsandbytes")
    from engine.gpu import ours, works
    from engine.shapes import QWEN3_4B, build_packed, tiny

    shape = tiny(QWEN3_4B)
    made = build_packed(shape, "cpu", torch.float32)
    assert made.network().model.layers[0].mlp.up_proj.weight.dtype == torch.uint8
    assert ours(made, works(shape, small=True)["long"])["tokens_s"] > 0


def test_a_straight_line_is_found_and_a_bent_one_told_from_it() -> None:
    from engine.growth import line

    xs = [1.0, 2.0, 5.0, 9.0]
    assert line(xs, [3 + 2 * x for x in xs]) == pytest.approx((2, 3, 1))
    assert line(xs, [x**3 for x in xs])[2] < 0.97


def test_the_picture_holds_every_point_of_every_curve() -> None:
    from xml.etree import ElementTree

    from engine.picture import draw

    rows = [{"n": 10.0**i, "seconds": 0.1 * 10**i, "mb": 5.0 * i} for i in range(1, 5)]
    tree = ElementTree.fromstring(draw({"<one>": rows, "two": rows[:3]}, "Growth"))
    assert len(tree.findall(".//{*}circle")) == 2 * (4 + 3)
