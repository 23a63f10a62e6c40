"""The engine's benchmark runs: the card's path too, with small dimensions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("gpu.py", ["--tiny", "--shape", "4b", "--turns", "2", "--epochs", "1"]),
        ("measure.py", ["claas", "--vocab", "64", "--turns", "1", "--epochs", "1"]),
    ],
)
def test_a_script_prints_its_figures(script: str, arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "engine" / script), *arguments],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1])["tokens_s"] > 0
