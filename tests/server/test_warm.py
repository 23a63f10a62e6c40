"""A promoted version is loaded before anyone asks for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from align_agent.adapters.registry import Registry
from align_agent.models.local import LocalModel
from align_agent.records import Run
from align_agent.server import warm
from align_agent.store import Store


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
    path = promote(door, parrot, tmp_path / "two", 2)
    until(lambda: loaded(parrot, path))
