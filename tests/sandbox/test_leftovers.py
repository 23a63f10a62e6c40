"""What a killed process left of its boxes is taken away by the next one, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from align_agent.sandbox import box
from align_agent.sandbox.levels import PREFIX


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def folder(parent: Path, name: str, *, old: bool = True) -> Path:
    made = parent / name
    made.mkdir()
    if old:
        os.utime(made, (0, 0))
    return made


def ended() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_an_old_folder_of_a_process_that_ended_goes(temporary: Path) -> None:
    gone = folder(temporary, f"{PREFIX}{ended()}-x")
    box._sweep.__wrapped__()
    assert not gone.exists()


def test_what_may_belong_to_somebody_stays(temporary: Path) -> None:
    kept = [
        folder(temporary, f"{PREFIX}{os.getpid()}-x"),
        folder(temporary, f"{PREFIX}{ended()}-y", old=False),
        folder(temporary, f"{PREFIX}name-x"),
        folder(temporary, "something-else"),
    ]
    box._sweep.__wrapped__()
    assert all(one.exists() for one in kept)


def test_a_link_is_not_followed(temporary: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    precious = folder(tmp_path_factory.mktemp("elsewhere"), "precious")
    link = temporary / f"{PREFIX}{ended()}-x"
    link.symlink_to(precious)
    os.utime(link, (0, 0), follow_symlinks=False)
    box._sweep.__wrapped__()
    assert precious.exists()
