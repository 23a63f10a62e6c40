"""Which wall is used, and that one which does not stand whole is not used at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox_places import older

from align_agent.sandbox import box, levels
from align_agent.sandbox.box import Box, BoxError
from align_agent.sandbox.levels import SandboxUnavailable


def found() -> tuple[str, str]:
    """The wall of a machine that is asked for the first time."""
    return levels.wall.__wrapped__()


def only(patch: pytest.MonkeyPatch, *walls: str) -> None:
    """A machine on which the other walls do not stand."""

    def probe(name: str) -> list[str]:
        if name not in walls:
            raise OSError("not here")
        return [name, "seccomp"]

    patch.setattr(levels, "probe", probe)
    patch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")


@pytest.mark.parametrize(
    ("there", "used"),
    [
        (("bubblewrap", "namespaces", "landlock"), "bubblewrap"),
        (("namespaces", "landlock"), "namespaces"),
        (("landlock",), "landlock"),
    ],
)
def test_the_strongest_wall_is_used(
    monkeypatch: pytest.MonkeyPatch, there: tuple[str, ...], used: str
) -> None:
    only(monkeypatch, *there)
    assert found() == (used, f"{used} + seccomp")


def test_without_any_wall_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    only(monkeypatch)
    with pytest.raises(SandboxUnavailable, match="namespaces: not here") as raised:
        found()
    assert "bubblewrap" in raised.value.hint


@pytest.mark.parametrize("version", [-1, 1, 2])
def test_a_landlock_that_lets_files_be_emptied_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, version: int
) -> None:
    older(monkeypatch, tmp_path, version)
    for wall in ("namespaces", "landlock"):
        with pytest.raises(OSError, match=r"version 3 is needed|namespaces"):
            levels.probe(wall)  # type: ignore[arg-type]


def test_a_processor_whose_calls_are_not_known_is_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = levels.INNER.read_text(encoding="utf-8")
    asked = "_ARCHES.get(platform.machine())"
    assert asked in text
    inner = tmp_path / "inner.py"
    inner.write_text(text.replace(asked, "_ARCHES.get('other')"), encoding="utf-8")
    monkeypatch.setattr(levels, "INNER", inner)
    with pytest.raises(OSError, match="not known"):
        levels.probe("landlock")


def test_a_box_weaker_than_its_level_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    name, held = levels.wall()
    monkeypatch.setattr(box, "wall", lambda: (name, f"{held} + more"))
    with pytest.raises(BoxError, match="no more"), Box("program", source="", stdin=""):
        pass


def test_an_interpreter_beside_the_home_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(levels, "python", lambda: str(tmp_path / "bin" / "python3"))
    with pytest.raises(SandboxUnavailable, match="your home") as raised:
        found()
    assert raised.value.hint
