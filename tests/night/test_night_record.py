"""What a night leaves on record, and what it must not."""

from __future__ import annotations

from pathlib import Path

from nights import make_home

from align_agent.night.progress import Silent
from align_agent.night.run import run_night


def test_the_record_of_a_night_holds_no_token_of_the_server(
    tmp_path: Path, tiny_model_dir: Path
) -> None:
    home = make_home(tmp_path / "home", tiny_model_dir, server={"token": "open-sesame-123"})
    run_night(home, progress=Silent())
    assert all(b"open-sesame" not in path.read_bytes() for path in home.root.glob("align.db*"))
