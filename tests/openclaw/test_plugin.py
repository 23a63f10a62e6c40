"""The plugin's own tests, under Node."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "openclaw-plugin"


def major() -> int:
    if shutil.which("node") is None:
        return 0
    done = subprocess.run(["node", "--version"], capture_output=True, text=True)
    return int(done.stdout.strip().removeprefix("v").partition(".")[0] or 0)


@pytest.mark.skipif(major() < 20, reason="Node 20 or newer is not installed")
def test_the_plugins_own_tests_pass() -> None:
    command = [
        "node",
        "--test",
        "--test-reporter=tap",
        *map(str, sorted((PLUGIN / "test").glob("*.test.js"))),
    ]
    done = subprocess.run(command, cwd=PLUGIN, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    passed = re.search(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    assert passed is not None
    assert int(passed[1]) >= 20, done.stdout[-1000:]


def test_the_plugin_is_small_and_needs_nothing_else() -> None:
    files = [PLUGIN / "index.js", *(PLUGIN / "lib").glob("*.js")]
    imports = {
        line.split('"')[1]
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.startswith("import ")
    }
    assert all(name.startswith(("node:", "./")) for name in imports), imports
    assert sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files) < 800


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_what_npm_packs_holds_the_skills_and_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    for name in ("openclaw-plugin", "skills"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True)
    plugin = tmp_path / "openclaw-plugin"
    command = ["npm", "pack", "--offline", "--pack-destination", str(tmp_path)]
    env = os.environ | {"npm_config_cache": str(tmp_path / "cache")}
    done = subprocess.run(command, cwd=plugin, env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    (packed,) = tmp_path.glob("*.tgz")
    with tarfile.open(packed) as archive:
        # By its name a filter is known from Python 3.11.4 on.
        archive.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        archive.extractall(tmp_path / "packed")
    package = tmp_path / "packed" / "package"
    assert content(package / "skills") == content(ROOT / "skills")
    assert {path.name for path in package.iterdir()} == {
        "index.js", "lib", "openclaw.plugin.json", "package.json", "skills",
    }  # fmt: skip
    assert (plugin / "skills").is_symlink()
    assert content(plugin) == content(PLUGIN)


def content(folder: Path) -> dict[str, bytes]:
    """Every file's bytes, links followed."""
    found = {}
    for base, _, names in os.walk(folder, followlinks=True):
        for path in (Path(base) / name for name in names):
            found[str(path.relative_to(folder))] = path.read_bytes()
    return found
