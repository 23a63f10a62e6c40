"""A real server with the dashboard, and a real Chromium that looks at it."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import prompt_server  # noqa: F401
import pytest
import uvicorn
from furnished import Dashboard, furnish

from align_agent.config import Config, ServerConfig
from align_agent.models.local import LocalModel
from align_agent.paths import Home
from align_agent.server.app import build_app
from align_agent.server.listener import listen, web_server
from align_agent.server.service import Service
from align_agent.web.app import mount

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def dashboards(tiny_model: LocalModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Starts servers on furnished homes; takes ServerConfig's fields, and rules."""
    running: list[tuple[Dashboard, uvicorn.Server, threading.Thread]] = []

    def make(*, extra: Any = (), **settings: Any) -> Dashboard:
        folder = tmp_path_factory.mktemp("dashboard")
        home = Home(folder / "home")
        furnish(home, tiny_model, folder, extra)
        config = replace(Config(), server=replace(ServerConfig(), **settings))
        config = replace(
            config, model=replace(config.model, base=tiny_model.base, max_new_tokens=12)
        )
        service = Service.open(home, config, tiny_model)
        app = build_app(service)
        mount(app)
        listener = listen("127.0.0.1", 0)
        server = web_server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            threading.Event().wait(0.01)
        place = f"http://127.0.0.1:{listener.getsockname()[1]}"
        running.append((Dashboard(service, place), server, thread))
        return running[-1][0]

    yield make
    for found, server, thread in running:
        server.should_exit = True
        thread.join()
        found.service.close()


@pytest.fixture(scope="module")
def dashboard(dashboards: Any) -> Dashboard:
    found: Dashboard = dashboards()
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One Chromium for a module's tests."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium here: apt install chromium (scripts/browser does it for root)")
    from playwright.sync_api import sync_playwright

    # Chromium's own sandbox does not work for root, whom containers run as.
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=alone)
        yield found
        found.close()


@pytest.fixture
def axe() -> str:
    return (Path(__file__).parent / "vendor" / "axe.min.js").read_text("utf-8")
