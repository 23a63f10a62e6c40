"""What is shown fits into the terminal, in a real one."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

import pytest

from align_agent.cli.output import width
from align_agent.paths import Home

COMMANDS = (
    "status",
    "turns",
    "runs",
    "runs show --details",
    "adapters",
    "feedback",
    "rules",
    "doctor",
)


def seen(home: Home, command: str, columns: int) -> str:
    """What a terminal of this width gets to see, without its colours."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    args = [sys.executable, "-m", "align_agent", "--home", str(home.root), *command.split()]
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
    process = subprocess.Popen(args, stdout=theirs, stderr=subprocess.DEVNULL, env=env)
    os.close(theirs)
    found = b""
    try:
        while piece := os.read(ours, 65536):
            found += piece
    except OSError:  # Linux says so when the last writer has gone
        pass
    finally:
        os.close(ours)
    assert process.wait() == 0
    return re.sub(r"\x1b\[[0-9;]*m", "", found.decode()).replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_line_is_wider_than_the_terminal(command: str, columns: int, lived: Home) -> None:
    lines = seen(lived, command, columns).splitlines()
    assert lines and max(width(line) for line in lines) <= columns
