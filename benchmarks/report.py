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

BEGIN, END = "<!-- table -->", "<!-- end -->"  # of what a benchmark writes into a page
HEAD = ("figure", "align-agent", "compared with", "ratio or difference", "aim", "met")


def table(rows: Sequence[Sequence[object]], head: Sequence[str] = HEAD) -> str:
    """A table in Markdown; numbers with three digits that matter. Raises ValueError for a row that
    is wider or narrower than the head."""
    if any(len(row) != len(head) for row in rows):
        raise ValueError(f"a row does not fit the head {list(head)}")
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_shown, line))} |" for line in lines)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"
    return str(value)


def report(
    name: str,
    rows: Sequence[Sequence[object]],
    figures: Mapping[str, Any],
    *packages: str,
    head: Sequence[str] = HEAD,
) -> None:
    """Print the table and the last line."""
    print(table(rows, head))
    shown = {"name": name, "figures": figures, "machine": machine(*packages)}
    print(json.dumps(shown, ensure_ascii=False))


def publish(page: Path, text: str) -> None:
    """Put a text between the page's marks; what stands around them is written by hand."""
    old = page.read_text(encoding="utf-8") if page.exists() else f"{BEGIN}\n{END}\n"
    head, _, rest = old.partition(BEGIN)
    page.write_text(
        f"{head}{BEGIN}\n\n{text.strip()}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8"
    )


def measured() -> str:
    """When and on what, as a page says it."""
    found = machine()
    return f"{found['date']}, {found['cores']} cores ({found['cpu']}), load before: {found['load before']:g}"


def span(mean: float, low: float, high: float) -> str:
    """A figure with its interval."""
    return f"{mean:.2f} ({low:.2f} to {high:.2f})"


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
