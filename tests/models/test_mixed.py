"""Versions batched together answer as each would alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from adapters_made import make_adapter

from align_agent.errors import AdapterDamaged
from align_agent.models import mixed as mixed_module
from align_agent.models.engine import Engine
from align_agent.models.generation import Sampling
from align_agent.models.local import LocalModel
from align_agent.records import Message

GREEDY = Sampling(max_new_tokens=24, temperature=0.0)
QUESTIONS = ["hi", "How many apples?", "Write code.", "a much longer question " * 5]


def asked(text: str) -> list[Message]:
    return [Message("user", text)]


@pytest.fixture(autouse=True)
def unmixed(tiny_model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins without a mixed tree, whatever another left."""
    fresh = mixed_module.Mixed(tiny_model.network(None))
    monkeypatch.setattr(tiny_model, "_mixed", fresh)


@pytest.fixture
def adapters(tiny_model: LocalModel, tmp_path: Path) -> list[Path]:
    return [
        make_adapter(tiny_model, tmp_path / f"v{n:04d}", scale=0.2 * n, rank=2 * n)
        for n in (1, 2, 3)
    ]


@pytest.fixture
def mixes(tiny_model: LocalModel, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The number of versions in each batch that the model computed."""
    seen: list[int] = []
    forward = tiny_model.forward

    def counted(versions: Any, **inputs: Any) -> Any:
        seen.append(len({version.key for version in versions}))
        return forward(versions, **inputs)

    monkeypatch.setattr(tiny_model, "forward", counted)
    yield seen


@pytest.fixture
def together(tiny_model: LocalModel, mixes: list[int]) -> Iterator[Callable[..., Any]]:
    """`together(asked)`: the answers' token ids, all asked for before the first is computed."""
    engine = Engine(tiny_model, max_rows=16)

    def answers(wanted: list[tuple[str, Path | None]]) -> list[tuple[int, ...]]:
        import queue

        heard: list[queue.Queue[Any]] = [queue.Queue() for _ in wanted]
        with tiny_model.lock:  # the engine cannot begin before all are there
            for (text, adapter), listener in zip(wanted, heard, strict=True):
                engine.submit(asked(text), listener.put, sampling=GREEDY, adapter=adapter)
        found = []
        for listener in heard:
            while not hasattr(event := listener.get(timeout=60), "token_ids"):
                assert not isinstance(event, BaseException), event
            found.append(event.token_ids)
        return found

    yield answers
    engine.close()


def alone(model: LocalModel, wanted: list[tuple[str, Path | None]]) -> list[tuple[int, ...]]:
    return [
        model.generate_batch([asked(text)], sampling=GREEDY, adapter=adapter)[0].token_ids
        for text, adapter in wanted
    ]


def test_several_versions_and_the_base_share_a_batch(
    together: Any, tiny_model: LocalModel, adapters: list[Path], mixes: list[int]
) -> None:
    wanted = [(q, a) for q in QUESTIONS for a in (None, *adapters)]
    assert together(wanted) == alone(tiny_model, wanted)
    assert max(mixes) == 4


def test_rows_of_one_version_use_its_own_tree(
    together: Any, tiny_model: LocalModel, adapters: list[Path]
) -> None:
    wanted = [(q, adapters[0]) for q in QUESTIONS]
    assert together(wanted) == alone(tiny_model, wanted)
    assert tiny_model._mixed._peft is None


def test_versions_not_asked_for_lately_make_room(
    together: Any, tiny_model: LocalModel, adapters: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixed_module, "_KEPT", 1)
    for adapter in (*adapters, adapters[0]):
        wanted = [("hi", None), ("How many apples?", adapter)]
        assert together(wanted) == alone(tiny_model, wanted)
        assert len(tiny_model._mixed._names) == 1


def test_a_version_whose_files_are_gone_answers_on_by_itself(
    together: Any, tiny_model: LocalModel, adapters: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [("hi", None), ("hi", adapters[1])]
    expected = alone(tiny_model, wanted)
    load = tiny_model.prepare

    def pruned(versions: Any) -> None:
        shutil.rmtree(adapters[1], ignore_errors=True)
        load(versions)

    monkeypatch.setattr(tiny_model, "prepare", pruned)
    assert together(wanted) == expected


def test_a_failure_leaves_no_trace(tiny_model: LocalModel, adapters: list[Path]) -> None:
    versions = [tiny_model.serving(adapters[0]), tiny_model.serving(None)]
    with pytest.raises(TypeError):
        tiny_model.forward(versions, input_ids="no tensor")
    assert tiny_model._mixed._peft is None


def test_a_damaged_adapter_is_told(tiny_model: LocalModel, adapters: list[Path]) -> None:
    version = tiny_model.serving(adapters[0])
    (adapters[0] / "adapter_model.safetensors").write_bytes(b"no")
    with pytest.raises(AdapterDamaged):
        tiny_model.prepare([version, tiny_model.serving(None)])
