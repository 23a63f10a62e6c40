"""How fast the dashboard is after a year: `make bench-pages`.

Generates a home (100,000 turns, 365 versions) unless one is given, serves it in a process of its
own, and asks each page 20 times; then a real Chromium opens each page with an empty cache. The
doctor's page is left out: it starts torch to look at it, and says that it takes seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import httpx
from pages_home import build

from align_agent.paths import Home

ROUNDS = 20
PAINTS = 5
LIMITS = {"server_ms": 150.0, "search_ms": 100.0, "paint_ms": 500.0, "weight_kb": 200.0}
PAGES = {
    "morning": "/morning",
    "rules": "/rules",
    "conversations": "/conversations",
    "older": "/conversations?before=2026-06-01T00:00:00_50000",
    "narrowed": "/conversations?mood=negative&version=200",
    "of a rule": "/conversations?rule={rule}",
    "search": "/conversations?q=pencil",
    "search, rare": "/conversations?q=pencil+station+%22plain+text%22",
    "search, narrowed": "/conversations?q=pen&mood=negative",
    "conversation": "/conversation?id=talk-9000",
    "nights": "/nights",
    "night": "/night?id=run-{versions:04d}",
    "night's turns": "/night?id=run-{versions:04d}&use=skip&reason=too+long",
    "versions": "/versions",
    "compare": "/compare",
    "try": "/try",
    "trend": "/trend",
    "settings": "/settings",
}
PAINT = "first-contentful-paint"
WEIGHT = """
    [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
        .reduce((sum, entry) => sum + entry.encodedBodySize, 0)
"""
CONFIG = "model:\n  base: benchmark\nupstream:\n  base_url: http://127.0.0.1:9/v1\n"


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--turns", type=int, default=100_000)
    options.add_argument("--versions", type=int, default=365)
    options.add_argument("--home", type=Path, help="made there, and kept; used again if present")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Home((chosen.home or Path(folder) / "home").resolve())
        began = time.monotonic()
        if not home.database.exists():
            build(home, chosen.turns, chosen.versions)
        home.config.write_text(CONFIG)
        print(
            f"a home of {chosen.turns:,} turns: {time.monotonic() - began:.0f} s", file=sys.stderr
        )
        with served(home) as (url, server):
            rule = httpx.get(f"{url}/rules.json").json()["groups"][1]["rules"][0]["id"]
            pages = {n: p.format(rule=rule, versions=chosen.versions) for n, p in PAGES.items()}
            figures = {name: ask(url + path, server) for name, path in pages.items()}
            looked = look(url, pages)
    for name, found in looked.items():
        figures[name] |= found
    report(figures, chosen.turns, chosen.versions)


@contextmanager
def served(home: Home) -> Iterator[tuple[str, int]]:
    """The real command in a process of its own: where it answers, and its number."""
    command = [sys.executable, "-m", "align_agent", "serve", "--port", "0", "--home", home.root]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = next(line for line in process.stderr if "dashboard on " in line)
    try:
        yield line.partition("dashboard on ")[2].partition("/,")[0], process.pid
    finally:
        process.terminate()
        process.wait()


def ask(address: str, server: int) -> dict[str, float]:
    """Median milliseconds of a request, after one that warms the caches, and what of the
    processor's time the server took for one, which other work on the machine leaves as it is."""
    times = []
    with httpx.Client(timeout=60) as client:
        client.get(address).raise_for_status()
        used = worked(server)
        for _ in range(ROUNDS):
            began = time.perf_counter()
            client.get(address).raise_for_status()
            times.append(1000 * (time.perf_counter() - began))
        used = worked(server) - used
    return {
        "server_ms": round(statistics.median(times), 1),
        "cpu_ms": round(1000 * used / ROUNDS, 1),
    }


def worked(process: int) -> float:
    """Seconds of the processor's time that a process has had."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def look(url: str, pages: dict[str, str]) -> dict[str, dict[str, float]]:
    """First paint (median) and weight of each page in a Chromium with an empty cache."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        print("no Chromium: paint and weight are not measured", file=sys.stderr)
        return {}
    from playwright.sync_api import sync_playwright

    alone = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=alone)
        found = {name: _opened(browser, url + path) for name, path in pages.items()}
        browser.close()
    return found


def _opened(browser: Any, address: str) -> dict[str, float]:
    paints, weight = [], 0
    for _ in range(PAINTS):
        context = browser.new_context()
        page = context.new_page()
        page.goto(address, wait_until="load")
        # Not `wait_for_function`, which the pages' policy keeps from evaluating its text.
        while not page.evaluate(f"performance.getEntriesByName('{PAINT}').length"):
            page.wait_for_timeout(20)
        paints.append(page.evaluate(f"performance.getEntriesByName('{PAINT}')[0].startTime"))
        weight = page.evaluate(WEIGHT)
        context.close()
    return {"paint_ms": round(statistics.median(paints), 1), "weight_kb": round(weight / 1000, 1)}


def limit(page: str, figure: str) -> float:
    if figure == "server_ms" and page.startswith("search"):
        return LIMITS["search_ms"]
    return LIMITS[figure]


def report(figures: dict[str, dict[str, float]], turns: int, versions: int) -> None:
    print("| page | server, ms | of it computing, ms | first paint, ms | weight, kB |")
    print("| --- | ---: | ---: | ---: | ---: |")
    missed = []
    for name, found in figures.items():
        cells = []
        for figure in ("server_ms", "cpu_ms", "paint_ms", "weight_kb"):
            value = found.get(figure)
            over = value is not None and figure != "cpu_ms" and value > limit(name, figure)
            if over:
                missed.append(f"{name}: {figure} {value} over {limit(name, figure):g}")
            cells.append("" if value is None else f"**{value}**" if over else f"{value}")
        print(f"| {name} | {' | '.join(cells)} |")
    print("missed: " + ("; ".join(missed) or "nothing"))
    machine = {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load": [round(load, 1) for load in os.getloadavg()],
        "python": platform.python_version(),
        "date": str(date.today()),
    }
    told = {"turns": turns, "versions": versions, "pages": figures, "missed": missed}
    print(json.dumps({"name": "pages", "figures": told, "machine": machine}))


if __name__ == "__main__":
    main()
