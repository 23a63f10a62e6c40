"""What a benchmark prints: its table, and as its last line one JSON object for programs."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any

HEAD = ("figure", "align-agent", "compared with", "ratio or difference", "aim", "met")


def table(rows: Sequence[Sequence[object]], head: Sequence[str] = HEAD) -> str:
    """A table in Markdown; numbers with three digits that matter."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_shown, line))} |" for line in lines)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def report(
    name: str, rows: Sequence[Sequence[object]], figures: Mapping[str, Any], *packages: str
) -> None:
    """Print the table and the last line."""
    print(table(rows))
    shown = {"name": name, "figures": figures, "machine": machine(*packages)}
    print(json.dumps(shown, ensure_ascii=False))


def machine(*packages: str) -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "date": str(date.today()),
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load before": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in packages},
    }


def _cpu() -> str:
    if sys.platform == "linux":
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
        if found:
            return found[1]
    return platform.machine()
