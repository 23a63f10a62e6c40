"""Versions that come from elsewhere, and the story that the timeline tells."""

import shutil
from pathlib import Path

import pytest

from align_agent.adapters import files
from align_agent.adapters.carried import import_folder
from align_agent.adapters.registry import Registry
from align_agent.adapters.timeline import RULES, facts_of, timeline
from align_agent.errors import AdapterDamaged, GateRefused, WrongBase
from align_agent.paths import Home
from align_agent.records import Run
from align_agent.store import Store

BASE, HASH = "pocket", "hash-of-pocket"


@pytest.fixture
def three(store: Store, home: Home, tmp_path: Path) -> Registry:
    """v1 and v2 promoted one after the other, v3 only registered."""
    registry = Registry(store, home)
    for number in (1, 2, 3):
        run = f"run-{number}"
        store.runs.create(Run(id=run, status="running"))
        staged = tmp_path / run
        staged.mkdir()
        (staged / "adapter_model.safetensors").write_bytes(f"weights {number}".encode() * 20)
        (staged / "adapter_config.json").write_text(f'{{"r": {number}}}')
        registry.register(staged, base=BASE, base_hash=HASH, run_id=run, verdict="promote")
    registry.promote(1, why="first", who="night")
    registry.promote(2, why="second", who="night")
    return registry


def elsewhere(three: Registry, tmp_path: Path) -> tuple[Path, Registry, Store]:
    """v2's folder carried to another home."""
    carried = tmp_path / "carried"
    shutil.copytree(three.folder(2), carried)
    home = Home(tmp_path / "elsewhere").ensure()
    store = Store.open(home.database)
    return carried, Registry(store, home), store


def test_an_imported_version_waits_for_review_and_may_then_serve(three, tmp_path):
    carried, other, store = elsewhere(three, tmp_path)
    adapter = import_folder(other, store, carried, base=BASE, base_hash=HASH)
    assert (adapter.version, adapter.verdict, adapter.run_id) == (1, "review", "")
    with pytest.raises(GateRefused):
        other.promote(1, why="by itself", who="night")
    other.promote(1, why="looks good")
    assert other.serving(BASE, HASH)[0] == 1
    store.close()


def test_an_import_for_another_base_is_refused(three, tmp_path):
    carried, other, store = elsewhere(three, tmp_path)
    with pytest.raises(WrongBase):
        import_folder(other, store, carried, base="another", base_hash="hash-of-another")
    assert store.adapters.list() == []
    store.close()


@pytest.mark.parametrize("harm", ["changed", "missing", "stray", "no manifest"])
def test_an_import_that_is_not_whole_is_refused(three, tmp_path, harm):
    carried, other, store = elsewhere(three, tmp_path)
    weights = carried / "adapter_model.safetensors"
    if harm == "changed":
        weights.write_bytes(weights.read_bytes()[::-1])
    elif harm == "missing":
        weights.unlink()
    elif harm == "stray":
        (carried / "adapter_model.bin").write_bytes(b"pickle")
    else:
        (carried / files.MANIFEST).unlink()
    with pytest.raises(AdapterDamaged):
        import_folder(other, store, carried, base=BASE, base_hash=HASH)
    assert store.adapters.list() == []
    store.close()


def test_importing_what_is_here_adds_nothing(three, store, tmp_path):
    carried = tmp_path / "carried"
    shutil.copytree(three.folder(2), carried)
    assert import_folder(three, store, carried, base=BASE, base_hash=HASH).version == 2


def test_the_timeline_says_who_moved_what_and_why(three, store):
    three.rollback(why="too curt")
    three.pin(2)
    three.release()
    moments = timeline(store)
    assert [moment.kind for moment in moments[:2]] == ["released", "pinned"]
    moved = [one for one in moments if one.text == "champion: v2 -> v1"]
    assert [(one.who, one.why) for one in moved] == [("user", "too curt")]
    assert sum(one.kind == "made" for one in moments) == 3


def test_the_facts_of_a_version_name_its_night_rules_and_names(three, store):
    store.runs.update("run-2", config={RULES: ["Keep answers short."]})
    facts = facts_of(store, 2)
    assert facts.night is not None and facts.night.id == "run-2"
    assert (facts.rules, facts.aliases) == (("Keep answers short.",), ("champion",))
