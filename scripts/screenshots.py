"""Pictures of the dashboard as it is after a real night: desktop, phone and dark.

`make screenshots` lets the demonstration's student live a day and a night in a new home, serves it,
and photographs every page with Chromium. `--home` photographs a home that is there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

LOOKS: dict[str, dict[str, Any]] = {
    "desktop": {"viewport": {"width": 1200, "height": 860}},
    "dark": {"viewport": {"width": 1200, "height": 860}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2},
}
TABS = ("morning", "rules", "conversations", "nights", "versions", "trend", "settings")


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--home", type=Path, help="a home to photograph, instead of a new one")
    options.add_argument("--out", type=Path, default=Path(".cache/screenshots"))
    chosen = options.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home = chosen.home or lived(Path(folder))
        with served(home) as url:
            photograph(url, chosen.out)
    print(f"pictures in {chosen.out}")


def lived(folder: Path) -> Path:
    """A home in which the demonstration's student talked for a day and slept for a night."""
    from align_agent.demo.personas import STUDENT
    from align_agent.demo.play import day, move_in, sleep
    from align_agent.demo.show import Show
    from align_agent.models.local import LocalModel

    life, show = move_in(STUDENT, folder), Show(quiet=True)
    day(life, LocalModel.load("pocket"), 1, show)
    sleep(life, show)
    return life.home.root


@contextmanager
def served(home: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "align_agent", "serve", "--port", "0", "--home", str(home)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = next(line for line in process.stderr if "dashboard on " in line)
    try:
        yield line.partition("dashboard on ")[2].partition("/,")[0]
    finally:
        process.terminate()
        process.wait()


def addresses(url: str) -> dict[str, str]:
    """Every tab, and one night, one conversation and one comparison behind them."""
    found = {name: f"/{name}" for name in TABS}
    nights = httpx.get(f"{url}/nights.json").json()["nights"]
    made = [night for night in nights if night["made"]]
    if made:
        found["night"] = f"/night?id={made[0]['id']}"
        found["compare"] = f"/compare?a={made[0]['parent']}&b={made[0]['made']}"
    talks = httpx.get(f"{url}/conversations.json?mood=negative").json()["conversations"]
    if talks:
        found["conversation"] = str(httpx.URL("/conversation", params={"id": talks[0]["id"]}))
    return found


def photograph(url: str, out: Path) -> None:
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=alone)
        for look, settings in LOOKS.items():
            page = browser.new_context(**settings).new_page()
            for name, address in addresses(url).items():
                page.goto(url + address, wait_until="networkidle")
                raw = out / f"{name}-{look}.png"
                page.screenshot(path=raw)
                Image.open(raw).save(raw.with_suffix(".webp"), quality=82, method=6)
                raw.unlink()
        browser.close()


if __name__ == "__main__":
    main()
