from __future__ import annotations

import json
import random
import sys
from pathlib import Path

import pytest

from align_agent.models.pocket import WEIGHTS

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "night")]


@pytest.fixture(scope="session")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Word problems, answered plainly, briefly and warmly."""
    from align_agent.models.pocket.styles import Style, write
    from align_agent.models.pocket.world import draw_problems

    rng = random.Random(0)
    style = Style("plain", "brief", "warm")
    kinds = ("sum", "difference", "product", "two_step")
    problems = [p for kind in kinds for p in draw_problems(kind, 7, 5)]
    rows = [{"prompt": p.question, "answer": write(p, style, rng)} for p in problems]
    path = tmp_path_factory.mktemp("demos") / "demos.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def pocket():
    from align_agent.models.local import LocalModel

    return LocalModel.load(str(WEIGHTS), device="cpu")
