"""The command line: `align-agent <noun> <verb>`, one file per noun.

This package's top holds the entry point alone; nothing is imported before it is needed.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(args: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code. `args` defaults to the process's arguments."""
    from align_agent.cli.root import run

    return run(args)
