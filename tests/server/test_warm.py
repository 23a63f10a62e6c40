"""A promoted version is loaded before anyone asks for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from align_agent.adapters.registry import Registry
from align_agent.models.local import LocalModel
from align_agent.records import Run
from align_agent.server import warm
from align_agent.store import Store

HELLO = {"messages": [{"role": "user", "content": "Hello!"}]}


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm.keep_warm, "__defaults__", (0.05,))


def until(done: Callable[[], Any]) -> None:
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end
        threading.Event().wait(0.02)


def loaded(parrot: LocalModel, path: Path) -> bool:
    return any(key[0] == str(path.resolve()) for key in list(parrot._adapters))


def promote(door: Any, parrot: LocalModel, folder: Path, number: int) -> Path:
    parrot.save_lora(parrot.fresh_lora(2, 4.0, 0.0, seed=1), folder)
    with Store.open(door.service.home.database) as store:
        store.runs.create(Run(f"run-{number}", "promoted"))
        registry = Registry(store, door.service.home)
        facts = {"base": parrot.base, "base_hash": parrot.base_hash, "verdict": "promote"}
        made = registry.register(folder, run_id=f"run-{number}", **facts)
        registry.promote(made.version, why="better", who="night")
        return registry.path(made.version)


def test_a_promoted_version_is_loaded_unasked(
    serve: Any, parrot: LocalModel, tmp_path: Path
) -> None:
    path = promote(serve(), parrot, tmp_path / "made", 1)
    until(lambda: loaded(parrot, path))


def test_a_damaged_version_does_not_end_the_watch(
    serve: Any, parrot: LocalModel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    door = serve()
    damaged = promote(door, parrot, tmp_path / "one", 1)
    (damaged / "adapter_model.safetensors").write_bytes(b"damaged")
    until(lambda: "damaged" in caplog.text)
    with Store.open(door.service.home.database) as store:
        assert "serving_fallbacks" not in store.counters.all()  # nobody asked for an answer
        httpx.post(f"{door.url}/v1/chat/completions", json=HELLO)
        assert store.counters.all()["serving_fallbacks"] == 1
    path = promote(door, parrot, tmp_path / "two", 2)
    until(lambda: loaded(parrot, path))


def test_a_failure_of_any_kind_does_not_end_the_watch(
    serve: Any, parrot: LocalModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = serve()
    tried = []

    async def fails(served: Any) -> None:
        tried.append(served)
        raise RuntimeError("out of memory")

    with monkeypatch.context() as short:
        short.setattr(door.service.backend, "warm", fails)
        promote(door, parrot, tmp_path / "one", 1)
        until(lambda: tried)
    path = promote(door, parrot, tmp_path / "two", 2)
    until(lambda: loaded(parrot, path))


def test_each_request_is_answered_by_the_champion_of_its_moment(
    serve: Any, parrot: LocalModel, tmp_path: Path
) -> None:
    door = serve()

    def asked() -> str:
        made = httpx.post(f"{door.url}/v1/chat/completions", json=HELLO)
        return str(made.json()["model"])

    found = [asked()]
    promote(door, parrot, tmp_path / "one", 1)
    found += [asked(), asked()]
    with Store.open(door.service.home.database) as store:
        registry = Registry(store, door.service.home)
        registry.rollback(why="worse")
        found += [asked(), asked()]
        registry.promote(1, why="better")
        found.append(asked())
        (registry.path(1) / "adapter_model.safetensors").write_bytes(b"damaged")  # type: ignore[operator]
    found.append(asked())
    assert found == ["align@base", "align@v1", "align@v1", "align@base", "align@base",
                     "align@v1", "align@base"]  # fmt: skip
