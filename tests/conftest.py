"""Fixtures that every room's tests share. Torch is imported only by the tests that ask for it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

POCKET = Path(__file__).parents[1] / "align_agent" / "models" / "pocket" / "weights"


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Qwen3 of hidden 32 and 2 layers, with a byte-level BPE trained on the spot."""
    from tiny import build_tiny_model

    return build_tiny_model(tmp_path_factory.mktemp("tiny-model"))


@pytest.fixture(scope="session")
def model_dir(request: pytest.FixtureRequest) -> Path:
    """The pocket model where its weights are complete, else the tiny random one."""
    from align_agent.errors import ModelError
    from align_agent.models.files import check_folder

    try:
        check_folder(POCKET)
    except ModelError:
        folder: Path = request.getfixturevalue("tiny_model_dir")
        return folder
    return POCKET
