"""A real server in this process: uvicorn on a free loopback port, the real engine and store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from own_server import Running, start

from align_agent.config import Config, ServerConfig, UpstreamConfig
from align_agent.models.lane import Lane, Row
from align_agent.models.local import LocalModel
from align_agent.paths import Home
from align_agent.server.service import Service

LONG = 12  # a seed


@pytest.fixture
def serve(tmp_path: Path, parrot: LocalModel) -> Iterator[Any]:
    """Starts servers on the parrot, or before `upstream`, learning at once or not; takes
    ServerConfig's fields."""
    running: list[tuple[Running, uvicorn.Server, threading.Thread]] = []

    def make(
        upstream: UpstreamConfig | None = None, *, live: bool = False, **settings: Any
    ) -> Running:
        home = Home(tmp_path / f"home{len(running)}").ensure()
        config = replace(Config(), server=replace(ServerConfig(), **settings))
        config = replace(config, learn=replace(config.learn, live=live))
        config = replace(config, model=replace(config.model, base=parrot.base, temperature=0.0))
        if upstream is not None:
            config = replace(config, upstream=upstream)
        service = Service.open(home, config, None if upstream else parrot)
        running.append(start(service))
        return running[-1][0]

    yield make
    for found, server, thread in running:
        server.should_exit = True
        thread.join()
        found.service.close()


@pytest.fixture
def leave(server: Running, slowly: None) -> Callable[..., None]:
    """Asks for a long answer, reads some lines of the stream, and goes."""

    def asked_and_left(messages: list[dict[str, str]], lines: int = 1) -> None:
        body = {"messages": messages, "stream": True, "temperature": 2, "max_tokens": 400}
        with httpx.stream("POST", f"{server.url}/v1/chat/completions", json=body) as answer:
            for _, _line in zip(range(lines), answer.iter_lines(), strict=False):
                pass
        counts = server.service.backend.counts
        while not (counts["aborted"] or counts["answered"] or counts["failed"]):
            threading.Event().wait(0.01)

    return asked_and_left


@pytest.fixture
def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers take their time, so that a client can leave in the middle of one.

    Their seed is one that makes the drawn answers of these tests long: chance now and then ends one
    after two tokens.
    """
    step = Lane.step

    def slow(lane: Lane) -> list[Row]:
        threading.Event().wait(0.05)
        return step(lane)

    monkeypatch.setattr(Lane, "step", slow)
    monkeypatch.setattr("align_agent.models.local.secrets.randbelow", lambda _: LONG)


@pytest.fixture
def server(serve: Any) -> Running:
    found: Running = serve()
    return found


@pytest.fixture(params=["local", "upstream"])
def behind(request: pytest.FixtureRequest, serve: Any) -> Any:
    """`behind(**settings)` opens a door: before an engine of its own, or before another server."""

    def make(**settings: Any) -> Running:
        found: Running
        if request.param == "local":
            found = serve(**settings)
        else:
            engine = serve()
            there = UpstreamConfig(base_url=f"{engine.url}/v1", model="align")
            found = serve(upstream=there, **settings)
        return found

    return make


@pytest.fixture
def either(behind: Any) -> Running:
    """A door with everything as it is by default, on both kinds of backend."""
    found: Running = behind()
    return found
