"""The working adapter: steps that can be taken back byte for byte, whatever happens in between."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from align_agent.adapters import files, working
from align_agent.adapters.registry import Registry
from align_agent.errors import NotFound
from align_agent.paths import Home
from align_agent.records import BASE_VERSION
from align_agent.store import Store


def writes(text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "weights").write_text(text)

    return write


def step(store: Store, home: Home, text: str, champion: int = BASE_VERSION) -> Path:
    return working.advance(store, home, writes(text), champion, "hash")


def answers(registry: Registry) -> str:
    """What the weights are that answer now; "" for the champion's."""
    path = registry.answering("pocket", "hash")[1]
    return (path / "weights").read_text() if path is not None else ""


@pytest.fixture
def registry(store: Store, home: Home) -> Registry:
    return Registry(store, home)


def test_each_step_answers_until_it_is_taken_back(
    store: Store, home: Home, registry: Registry
) -> None:
    before = step(store, home, "one")
    held = {p.name: p.read_bytes() for p in before.iterdir()}
    step(store, home, "two")
    assert answers(registry) == "two"
    assert working.undo(store) == 1
    assert answers(registry) == "one"
    assert {p.name: p.read_bytes() for p in before.iterdir()} == held
    assert working.undo(store) == 0
    assert answers(registry) == ""
    with pytest.raises(NotFound, match="no step to undo"):
        working.undo(store)


def test_a_step_after_an_undone_one_goes_on_from_what_was_left(
    store: Store, home: Home, registry: Registry
) -> None:
    for text in ("one", "two"):
        step(store, home, text)
    working.undo(store)
    step(store, home, "three")
    assert answers(registry) == "three"
    working.undo(store)
    assert answers(registry) == "one"


def test_what_was_undone_lies_there_until_the_step_after_the_next(store: Store, home: Home) -> None:
    gone = step(store, home, "one")
    working.undo(store)
    step(store, home, "two")
    assert gone.exists()  # somebody may still be answering with it
    step(store, home, "three")
    assert not gone.exists()


def test_old_steps_make_room_and_cannot_be_taken_back(
    store: Store, home: Home, registry: Registry
) -> None:
    for number in range(working.KEPT + 2):
        step(store, home, str(number))
    found = working.standing(store)
    assert found is not None and found.count == working.KEPT + 2
    assert len([*home.working.iterdir()]) == working.KEPT
    for _ in range(working.KEPT - 1):
        working.undo(store)
    with pytest.raises(NotFound, match="only the last"):
        working.undo(store)
    assert answers(registry) == "2"


def test_a_step_that_cannot_be_written_leaves_the_one_before(
    store: Store, home: Home, registry: Registry
) -> None:
    step(store, home, "one")

    def breaks(folder: Path) -> None:
        (folder / "weights").write_text("half")
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        working.advance(store, home, breaks, BASE_VERSION, "hash")
    assert answers(registry) == "one"
    assert len([*home.working.iterdir()]) == 1


def test_a_step_that_was_written_but_never_named_is_swept(
    store: Store, home: Home, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    step(store, home, "one")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(working, "_set", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        step(store, home, "killed")
    assert answers(registry) == "one"
    step(store, home, "two")
    assert answers(registry) == "two"
    assert len([*home.working.iterdir()]) == 2


def test_a_damaged_step_gives_way_to_the_champion_and_is_told_once(
    store: Store, home: Home, registry: Registry
) -> None:
    (step(store, home, "one") / "weights").write_text("bad")
    assert answers(registry) == answers(registry) == ""
    assert [e["kind"] for e in store.events.list() if e["kind"] == "live_over"] == ["live_over"]


def test_another_champion_ends_it(store: Store, home: Home, registry: Registry, tmp_path: Path):
    staged = tmp_path / "staged"
    staged.mkdir()
    (staged / "weights").write_text("night")
    facts = {"base": "pocket", "base_hash": "hash", "verdict": "promote"}
    made = registry.register(staged, run_id="", **facts)  # type: ignore[arg-type]
    step(store, home, "one")
    registry.promote(made.version, why="better")
    assert working.standing(store) is None
    assert answers(registry) == "night"
    step(store, home, "two", champion=made.version)
    registry.rollback(why="worse")
    assert answers(registry) == ""


def test_a_step_on_another_base_never_answers(store: Store, home: Home, registry: Registry) -> None:
    step(store, home, "one")
    assert registry.answering("pocket", "other") == (BASE_VERSION, None)


def test_clearing_removes_every_file(store: Store, home: Home) -> None:
    step(store, home, "one")
    files.staging_folder(home.working)
    working.give_up(store, "forgotten")
    working.clear(home)
    assert [*home.working.iterdir()] == []
    assert working.standing(store) is None
