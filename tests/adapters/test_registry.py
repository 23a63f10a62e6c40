import threading
from pathlib import Path

import pytest

from align_agent.adapters import files
from align_agent.adapters.registry import FALLBACK, FALLBACK_COUNTER, Registry
from align_agent.errors import (
    AdapterDamaged,
    AdapterError,
    GateRefused,
    NotFound,
    PromotionHeld,
    UsageError,
    WrongBase,
)
from align_agent.paths import Home
from align_agent.records import Adapter, Message, Run, Turn
from align_agent.store import Store

BASE, HASH = "pocket", "hash-of-pocket"


@pytest.fixture
def registry(store: Store, home: Home) -> Registry:
    return Registry(store, home)


def staged(home: Home, number: int = 1) -> Path:
    folder = home.runs / f"run-{number}" / "adapter"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "adapter_model.safetensors").write_bytes(f"weights {number}".encode() * 20)
    (folder / "adapter_config.json").write_text(f'{{"r": {number}}}')
    return folder


def register(registry: Registry, home: Home, store: Store, number: int, **more) -> Adapter:
    run = f"run-{number}"
    if all(known.id != run for known in store.runs.list(limit=-1)):
        store.runs.create(Run(id=run, status="running"))
    arguments = {"base": BASE, "base_hash": HASH, "run_id": run, "verdict": "promote", **more}
    return registry.register(staged(home, number), **arguments)


@pytest.fixture
def three(registry, home, store) -> Registry:
    """v1 and v2 promoted one after the other, v3 only registered."""
    for number in (1, 2, 3):
        register(registry, home, store, number)
    registry.promote(1, why="first", who="night")
    registry.promote(2, why="second", who="night")
    return registry


def damage(home: Home, version: int) -> None:
    target = home.adapters / files.folder_name(version) / "adapter_model.safetensors"
    content = bytearray(target.read_bytes())
    content[7] ^= 1
    target.write_bytes(bytes(content))


# Registering


def test_before_anything_is_learned_the_base_serves(registry):
    assert (registry.champion(), registry.serving(BASE, HASH)) == (0, (0, None))


def test_versions_count_from_one(registry, home, store):
    assert [register(registry, home, store, n).version for n in (1, 2)] == [1, 2]


def test_a_registered_version_is_whole_on_disk(registry, home, store):
    adapter = register(registry, home, store, 1)
    files.verify(home.adapters / "v0001", adapter.manifest_sha256)


def test_the_source_folder_stays_for_a_resumed_night(registry, home, store):
    register(registry, home, store, 1)
    assert (staged(home, 1) / "adapter_model.safetensors").exists()


def test_registering_the_same_run_again_makes_no_second_version(registry, home, store):
    first = register(registry, home, store, 1)
    assert register(registry, home, store, 1) == first
    assert files.versions_in(home.adapters) == [1]


def test_a_folder_that_was_installed_before_a_crash_is_taken_over(registry, home, store):
    # What a kill between the rename and the transaction leaves: the folder, but no row.
    staging = files.staging_folder(home.adapters)
    files.copy_into(staged(home, 1), staging)
    files.write_manifest(staging, base=BASE, base_hash=HASH, run_id="run-1")
    files.install(staging, home.adapters / "v0001")
    assert register(registry, home, store, 1).version == 1
    assert files.versions_in(home.adapters) == [1]


def test_a_folder_without_a_row_keeps_its_number(registry, home, store):
    # A database put back from a backup knows fewer versions than the disk.
    register(registry, home, store, 1)
    (home.adapters / "v0001").rename(home.adapters / "v0005")
    assert register(registry, home, store, 2).version == 6


def test_a_promotable_version_becomes_the_candidate(registry, home, store):
    register(registry, home, store, 1, verdict="review")
    assert registry.resolve("candidate") == 1


def test_a_rejected_version_is_kept_but_is_no_candidate(registry, home, store):
    register(registry, home, store, 1, verdict="reject")
    assert registry.path(1) is not None
    with pytest.raises(NotFound):
        registry.resolve("candidate")


def test_an_empty_training_folder_is_refused_and_leaves_nothing(registry, home, store):
    store.runs.create(Run(id="run-1", status="running"))
    empty = home.runs / "empty"
    empty.mkdir()
    with pytest.raises(AdapterError):
        registry.register(empty, base=BASE, base_hash=HASH, run_id="run-1")
    assert list(home.adapters.iterdir()) == []


def test_registering_for_an_unknown_run_leaves_no_row(registry, home, store):
    with pytest.raises(NotFound):
        registry.register(staged(home), base=BASE, base_hash=HASH, run_id="run-unknown")
    assert store.adapters.list() == []


# Names


@pytest.mark.parametrize(
    ("name", "version"),
    [("champion", 2), ("previous", 1), ("candidate", 3), ("base", 0), ("v3", 3), ("3", 3), (1, 1)],
)
def test_every_name_of_a_version_resolves(three, name, version):
    assert three.resolve(name) == version


@pytest.mark.parametrize("name", ["v9", "9", "", "champ", "v", "-1", "v1.0", "٣", "v" + "9" * 40])
def test_a_name_that_means_nothing_is_not_found_and_has_a_hint(three, name):
    with pytest.raises(NotFound) as caught:
        three.resolve(name)
    assert caught.value.hint


# Damage and other bases


def test_a_changed_byte_is_found_when_the_path_is_asked_for(three, home):
    damage(home, 2)
    with pytest.raises(AdapterDamaged, match="adapter_model"):
        three.path(2)


def test_damage_after_a_first_good_look_is_found_too(three, home):
    three.path(2)
    damage(home, 2)
    with pytest.raises(AdapterDamaged):
        three.path(2)


def test_a_missing_file_is_found(three, home):
    (home.adapters / "v0002" / "adapter_config.json").unlink()
    with pytest.raises(AdapterDamaged, match=r"adapter_config\.json"):
        three.path(2)


def test_an_adapter_for_another_base_is_refused_with_both_names(three):
    with pytest.raises(WrongBase, match=r"pocket.*qwen3-8b") as caught:
        three.path(2, base="qwen3-8b", base_hash="another hash")
    assert "model.base" in caught.value.hint


def test_the_champion_serves(three, home):
    assert three.serving(BASE, HASH) == (2, home.adapters / "v0002")


def test_a_damaged_champion_is_passed_over_for_the_previous_one(three, home):
    damage(home, 2)
    assert three.serving(BASE, HASH) == (1, home.adapters / "v0001")


def test_when_both_are_damaged_the_base_serves(three, home):
    damage(home, 1)
    damage(home, 2)
    assert three.serving(BASE, HASH) == (0, None)


def test_champions_of_another_base_are_passed_over_for_the_base(three):
    assert three.serving("other", "other hash") == (0, None)


def test_each_fallback_is_counted_but_told_once(three, home, store):
    damage(home, 2)
    for _ in range(3):
        three.serving(BASE, HASH)
    assert store.counters.all()[FALLBACK_COUNTER] == 3
    assert len(store.events.list(kind="serving_fallback")) == 1


def test_the_fallback_is_shown_until_the_champion_is_well_again(three, home, store):
    target = home.adapters / "v0002" / "adapter_model.safetensors"
    good = target.read_bytes()
    damage(home, 2)
    three.serving(BASE, HASH)
    assert "damaged" in store.state.get(FALLBACK)
    assert three.served()[0] == 1
    target.write_bytes(good)
    assert three.serving(BASE, HASH)[0] == 2
    assert three.served() == (2, "")


def test_a_fallback_is_forgotten_with_the_champion_that_it_was_of(three, home, store):
    damage(home, 2)
    three.serving(BASE, HASH)
    three.rollback(why="damaged")
    assert three.served() == (1, "")


def test_serving_never_raises_when_the_database_is_gone(three, home, store):
    assert three.serving(BASE, HASH)[0] == 2
    store.close()
    assert three.serving(BASE, HASH) == (2, home.adapters / "v0002")


def test_a_damaged_version_is_never_promoted(three, home):
    damage(home, 3)
    with pytest.raises(AdapterDamaged):
        three.promote(3, why="x")
    assert three.champion() == 2


# Moving


def test_promoting_moves_the_old_champion_to_previous(three):
    assert three.promote(3, why="better") == (2, 3)
    assert (three.champion(), three.resolve("previous")) == (3, 2)


def test_a_promoted_version_is_no_longer_the_candidate(three):
    three.promote(3, why="better")
    with pytest.raises(NotFound):
        three.resolve("candidate")


def test_promoting_the_champion_again_changes_nothing(three, store):
    before = store.adapters.history()
    three.promote(2, why="again")
    assert store.adapters.history() == before


def test_a_rejected_version_is_refused_with_the_gates_reason(registry, home, store):
    register(registry, home, store, 1, verdict="reject", reasons=("it did not gain",))
    with pytest.raises(GateRefused, match="it did not gain"):
        registry.promote(1, why="x")


def test_a_rejected_version_is_promoted_by_force(registry, home, store):
    register(registry, home, store, 1, verdict="reject")
    registry.promote(1, why="I know", force=True)
    assert registry.champion() == 1


def test_a_version_in_review_is_promoted_by_the_user_alone(registry, home, store):
    register(registry, home, store, 1, verdict="review")
    with pytest.raises(GateRefused):
        registry.promote(1, why="x", who="night")
    registry.promote(1, why="looks good", who="user")
    assert registry.champion() == 1


def test_rollback_swaps_champion_and_previous(three):
    assert three.rollback(why="too curt") == (2, 1)
    assert (three.champion(), three.resolve("previous")) == (1, 2)


def test_a_second_rollback_is_refused_with_the_way_forward(three):
    three.rollback(why="a")
    with pytest.raises(UsageError, match="already rolled back from v2 to v1") as caught:
        three.rollback(why="b")
    assert "promote v2" in caught.value.hint
    assert (three.champion(), three.resolve("previous")) == (1, 2)


def test_of_two_rollbacks_at_once_one_is_refused_and_no_name_is_lost(three, monkeypatch):
    path = three.path

    def meanwhile(version, **more):
        monkeypatch.setattr(three, "path", path)
        three.rollback(why="the quicker one")
        return path(version, **more)

    monkeypatch.setattr(three, "path", meanwhile)
    with pytest.raises(UsageError, match="already rolled back from v2 to v1"):
        three.rollback(why="the slower one")
    assert (three.champion(), three.resolve("previous")) == (1, 2)


@pytest.mark.parametrize("step", ["promote", "rollback"])
@pytest.mark.parametrize("change", [{"deleted": True}, {"tainted": True}])
def test_a_version_that_goes_while_its_files_are_read_does_not_serve(
    three, store, monkeypatch, step, change
):
    path = three.path

    def meanwhile(version, **more):
        found = path(version, **more)
        store.adapters.update(version, **change)
        return found

    monkeypatch.setattr(three, "path", meanwhile)
    with pytest.raises((AdapterDamaged, GateRefused)):
        three.rollback(why="x") if step == "rollback" else three.promote(3, why="x")
    assert three.champion() == 2


def test_after_the_champion_was_deleted_there_is_no_way_back_to_it(three):
    three.delete([2], why="tainted")
    with pytest.raises(NotFound, match="nothing to roll back to"):
        three.rollback(why="x")
    assert (three.champion(), three.held()) == (1, "")


def test_what_was_promoted_after_a_rollback_can_be_rolled_back(three):
    three.rollback(why="a")
    three.promote(3, why="this one")
    assert three.rollback(why="b") == (3, 1)


def test_the_first_champion_rolls_back_to_the_base(registry, home, store):
    register(registry, home, store, 1)
    registry.promote(1, why="first", who="night")
    registry.rollback(why="no")
    assert registry.serving(BASE, HASH) == (0, None)


def test_rollback_without_any_promotion_says_so(registry):
    with pytest.raises(NotFound, match="nothing to roll back to"):
        registry.rollback(why="x")


def test_rollback_moves_no_file(three, home):
    before = {p: p.stat().st_mtime_ns for p in home.adapters.rglob("*")}
    three.rollback(why="x")
    assert {p: p.stat().st_mtime_ns for p in home.adapters.rglob("*")} == before


def test_rollback_holds_promotion_so_that_no_night_can_undo_it(three):
    three.rollback(why="too curt")
    with pytest.raises(PromotionHeld, match="too curt"):
        three.promote(3, why="better", who="night")
    assert three.champion() == 1


def test_the_user_may_promote_while_it_is_held(three):
    three.rollback(why="x")
    three.promote(3, why="this one", who="user")
    assert three.champion() == 3


def test_release_lets_nights_promote_again(three):
    three.rollback(why="x")
    three.release()
    three.promote(3, why="better", who="night")
    assert (three.champion(), three.held()) == (3, "")


def test_a_hold_without_words_is_still_a_hold(registry):
    registry.hold("")
    assert registry.held()


def test_rollback_to_a_damaged_version_says_how_to_reach_the_base(three, home):
    damage(home, 1)
    with pytest.raises(AdapterDamaged) as caught:
        three.rollback(why="x")
    assert "promote base" in caught.value.hint
    assert three.champion() == 2


def test_the_history_tells_who_moved_what_why_and_when(three, store):
    three.rollback(why="too curt", who="user")
    moves = [m for m in store.adapters.history() if m["name"] == "champion"]
    told = [(m["before"], m["after"], m["why"], m["who"]) for m in moves]
    assert told == [
        (2, 1, "too curt", "user"),
        (1, 2, "second", "night"),
        (None, 1, "first", "night"),
    ]
    assert all(m["at"] for m in moves)


# Keeping house


def test_prune_removes_the_oldest_versions_first(registry, home, store):
    for number in range(1, 6):
        register(registry, home, store, number)
    assert registry.prune(2) == [1, 2, 3]
    assert files.versions_in(home.adapters) == [4, 5]


def test_prune_never_removes_a_version_with_a_name_or_a_pin(registry, home, store):
    for number in range(1, 7):
        register(registry, home, store, number)
    registry.promote(1, why="a")
    registry.promote(2, why="b")
    registry.pin(3)
    assert registry.prune(0) == [4, 5]
    assert files.versions_in(home.adapters) == [1, 2, 3, 6]


def test_a_dry_run_prunes_nothing(three, home):
    three.promote(3, why="x")
    assert three.prune(0, dry_run=True) == [1]
    assert files.versions_in(home.adapters) == [1, 2, 3]


def test_a_pruned_version_keeps_its_row_and_its_number(registry, home, store):
    register(registry, home, store, 1, verdict="reject")
    registry.prune(0)
    assert store.adapters.get(1).deleted
    assert register(registry, home, store, 2).version == 2


def test_a_pruned_version_cannot_be_promoted(registry, home, store):
    register(registry, home, store, 1, verdict="reject")
    registry.prune(0)
    with pytest.raises(AdapterDamaged, match="pruned"):
        registry.promote(1, why="x", force=True)


def test_sweep_ends_a_prune_that_was_killed_between_row_and_files(registry, home, store):
    register(registry, home, store, 1, verdict="reject")
    store.adapters.update(1, deleted=True)
    registry.sweep()
    assert files.versions_in(home.adapters) == []


def test_sweep_removes_what_a_dead_process_left(three, home):
    (home.adapters / f"{files.STAGING}999999999-dead").mkdir()
    three.sweep()
    assert sorted(p.name for p in home.adapters.iterdir()) == ["v0001", "v0002", "v0003"]


def test_a_pin_can_be_taken_away(three, store):
    three.pin(3)
    three.pin(3, False)
    assert not store.adapters.get(3).pinned


def test_lineage_names_the_turns_that_were_learned_from(registry, home, store):
    turns = [
        Turn("c", (Message("user", str(n)),), (Message("assistant", "a"),), str(n), "a", id=f"t{n}")
        for n in range(4)
    ]
    for turn in turns:
        store.turns.add(turn)
    register(registry, home, store, 1)
    uses = ("train", "anchor", "heldout", "skip")
    store.runs.add_turns("run-1", [(t.id, use, "") for t, use in zip(turns, uses, strict=True)])
    assert registry.lineage(1) == ["t0", "t1"]


def test_the_base_has_no_lineage(registry):
    assert registry.lineage(0) == []


def test_two_threads_that_promote_at_once_leave_one_champion_and_its_predecessor(three, home):
    start = threading.Barrier(2)
    failures: list[Exception] = []

    def run(version: int) -> None:
        with Store.open(home.database) as own:
            mine = Registry(own, home)
            start.wait()
            try:
                mine.promote(version, why="race")
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=run, args=(version,)) for version in (1, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert {three.champion(), three.resolve("previous")} == {1, 3}
