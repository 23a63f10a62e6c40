"""What a night leaves on record, and what it must not."""

from __future__ import annotations

from pathlib import Path

from nights import make_home

from align_agent.night.artefacts import RunFolder
from align_agent.night.progress import Silent
from align_agent.night.run import run_night
from align_agent.records import Run, now
from align_agent.store import Store


def test_the_record_of_a_night_holds_no_token_of_the_server(
    tmp_path: Path, tiny_model_dir: Path
) -> None:
    home = make_home(tmp_path / "home", tiny_model_dir, server={"token": "open-sesame-123"})
    run_night(home, progress=Silent())
    assert all(b"open-sesame" not in path.read_bytes() for path in home.root.glob("align.db*"))


def test_what_a_night_that_was_killed_at_its_very_end_left_goes_with_the_next_one(
    tmp_path: Path, tiny_model_dir: Path
) -> None:
    home = make_home(tmp_path / "home", tiny_model_dir)
    kinds = {"run-1": "night", "run-2": "solve"}
    with Store.open(home.database) as store:
        for name, kind in kinds.items():
            store.runs.create(Run(name, "promoted", finished_at=now(), kind=kind))
            RunFolder(home.runs / name).create().write("select", {"text": "of the user"})
    run_night(home, progress=Silent())
    left = [(home.runs / name / "select.json").exists() for name in kinds]
    assert left == [False, True]
