"""Which wall is used, and that one which does not stand whole is not used at all."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from sandbox_places import older

from align_agent.sandbox import box, inner, levels
from align_agent.sandbox.box import Box, BoxNotStarted
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


@pytest.mark.parametrize(
    ("column", "header"),
    [(0, "x86_64-linux-gnu/asm/unistd_64.h"), (1, "asm-generic/unistd.h")],
)
def test_the_calls_have_the_numbers_that_the_kernels_headers_give(column: int, header: str) -> None:
    path = Path("/usr/include") / header
    if not path.exists():
        pytest.skip(f"no {path} here")
    lines = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text())
    real = {name: int(number) for name, number in lines}
    tables = (inner._REFUSED, inner._ATTRIBUTES, inner._MODES, inner._SIGNALS)
    listed = {name: both[column] for table in tables for name, both in table.items()}
    single = {"prlimit64": inner._PRLIMIT, "socketpair": inner._SOCKETPAIR}
    single |= {"ioctl": inner._IOCTL, "fcntl": inner._FCNTL, "prctl": inner._PRCTL}
    listed |= {name: both[column] for name, both in single.items()}
    listed["clone"] = next(a[2] for a in inner._ARCHES.values() if a[1] == column)
    newest = max(real.values())
    wanted = {n: real.get(n, -1) for n, number in listed.items() if number <= newest}
    assert {n: number for n, number in listed.items() if number <= newest} == wanted


def test_a_box_weaker_than_its_level_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    name, held = levels.wall()
    monkeypatch.setattr(box, "wall", lambda: (name, f"{held} + more"))
    with pytest.raises(BoxNotStarted, match="no more"), Box("program", source="", stdin=""):
        pass


def test_an_interpreter_beside_the_home_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(levels, "python", lambda: str(tmp_path / "bin" / "python3"))
    with pytest.raises(SandboxUnavailable, match="your home") as raised:
        found()
    assert raised.value.hint
