"""An empty home, and its store."""

from pathlib import Path

import pytest

from align_agent.paths import Home
from align_agent.store import Store


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home").ensure()


@pytest.fixture
def store(home: Home):
    with Store.open(home.database) as opened:
        yield opened
