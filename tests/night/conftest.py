from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def learned_origin(tmp_path_factory: pytest.TempPathFactory, tiny_model_dir: Path) -> Path:
    """A home whose first night was promoted: v1 serves. Made once; tests get copies."""
    from nights import LEARNS, make_home, talk

    from align_agent.night.progress import Silent
    from align_agent.night.run import run_night

    home = make_home(tmp_path_factory.mktemp("learned") / "home", tiny_model_dir, **LEARNS)
    talk(home, 6)
    run = run_night(home, progress=Silent())
    assert run.status == "promoted", run.reason
    return home.root


@pytest.fixture
def learned(learned_origin: Path, tmp_path: Path):
    """A home of its own in which v1 serves."""
    from align_agent.paths import Home

    shutil.copytree(learned_origin, tmp_path / "home")
    return Home(tmp_path / "home")
