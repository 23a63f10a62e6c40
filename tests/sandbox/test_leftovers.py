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


def deep(parent: Path, levels: int) -> None:
    """Folders within folders, each beside a file, deeper than any path or stack."""
    place = os.open(parent, os.O_RDONLY)
    for _ in range(levels):
        os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=place))
        os.mkdir("d", dir_fd=place)
        below = os.open("d", os.O_RDONLY, dir_fd=place)
        os.close(place)
        place = below
    os.close(place)


def test_a_folder_of_any_depth_goes(temporary: Path) -> None:
    gone = folder(temporary, f"{PREFIX}{ended()}-x", old=False)
    deep(gone, 1500)
    os.utime(gone, (0, 0))
    box._sweep.__wrapped__()
    assert not gone.exists()


def test_what_a_folder_links_to_stays(
    temporary: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "precious").write_text("kept")
    gone = folder(temporary, f"{PREFIX}{ended()}-x", old=False)
    (gone / "link").symlink_to(elsewhere)
    (gone / "file").symlink_to(elsewhere / "precious")
    os.utime(gone, (0, 0))
    box._sweep.__wrapped__()
    assert not gone.exists()
    assert (elsewhere / "precious").read_text() == "kept"


def test_a_folder_that_cannot_be_removed_is_told_and_stops_nothing(
    temporary: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stays, goes = (folder(temporary, f"{PREFIX}{ended()}-{name}") for name in "xy")
    real = os.rmdir

    def rmdir(path: str | Path, *, dir_fd: int | None = None) -> None:
        if str(path) == str(stays):
            raise PermissionError(str(path))
        real(path, dir_fd=dir_fd)

    monkeypatch.setattr("os.rmdir", rmdir)
    box._sweep.__wrapped__()
    assert (stays.exists(), goes.exists()) == (True, False)
    assert str(stays) in caplog.text
