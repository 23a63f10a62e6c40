"""The plugin's own tests, under Node."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[2] / "openclaw-plugin"


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
