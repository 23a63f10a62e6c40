"""The demonstration played as a person starts it."""

import json
import subprocess
import sys

import pytest


@pytest.fixture(scope="session")
def play():
    """Plays it into a folder, with more options if wanted. Returns what `--json` prints."""

    def run(root, *options):
        command = [sys.executable, "-m", "align_agent", "demo", *options, "--json", "--keep"]
        result = subprocess.run([*command, str(root)], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return run
