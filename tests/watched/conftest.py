"""A `Capture` with a home of its own, and what it has stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from align_agent.config import Config
from align_agent.langgraph import Capture
from align_agent.records import Turn
from align_agent.store import Store


@pytest.fixture
def capture(tmp_path: Path) -> Iterator[Capture]:
    with Capture(tmp_path / "home", Config()) as found:
        yield found


@pytest.fixture
def turns(capture: Capture, tmp_path: Path) -> Callable[..., list[Turn]]:
    """The turns stored so far; with `closed` those that were not finished too."""

    def stored(*, closed: bool = False) -> list[Turn]:
        if closed:
            capture.close()
        else:
            capture.flush()
        with Store.open(tmp_path / "home" / "align.db") as store:
            return list(store.turns.all_main())

    return stored
