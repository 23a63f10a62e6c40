"""Forgetting: the raw bytes of every file say whether a text is gone."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from homes import KEPT, SECRET, after, files_holding, fill, turn

from align_agent.adapters.registry import Registry
from align_agent.errors import GateRefused, InputError, NotFound
from align_agent.night.lock import NightLock
from align_agent.paths import Home
from align_agent.privacy.forget import forget, preview, resume
from align_agent.privacy.wanted import Wanted, meant
from align_agent.privacy.words import Words
from align_agent.records import BASE_VERSION, Message
from align_agent.store import Store

ALL = Wanted("query", SECRET)
STEPS = ("tables", "memory", "backups", "runs", "pages", "journal")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return fill(tmp_path / "home")


def test_the_words_stand_in_many_files_before(home: Home) -> None:
    found = files_holding(home, SECRET)
    assert {"align.db", "checkpoints.db", "logs/night.log", "runs/run-3/select.json"} <= {*found}
    assert any(name.startswith("backups/") for name in found)


def test_no_file_of_the_home_holds_a_word_that_was_forgotten(home: Home) -> None:
    done = forget(home, ALL)
    assert len(done.turns) == 4
    assert files_holding(home, SECRET) == []
    assert "align.db" in files_holding(home, KEPT)


def test_a_forgotten_conversation_stands_in_no_file(home: Home) -> None:
    with Store.open(home.database) as store:
        store.turns.exclude("turn-mixed-1")  # the word's other home goes first
    forget(home, Wanted("turn", "turn-mixed-1"))
    forget(home, Wanted("conversation", "secret"))
    assert files_holding(home, SECRET) == []


def test_what_was_not_meant_stays(home: Home) -> None:
    forget(home, ALL)
    with Store.open(home.database) as store:
        assert {t.conversation_id for t in store.turns.list()} == {"kept", "mixed"}
        assert [r.text for r in store.rules.list()] == [f"Never mention {KEPT} again."]
        assert len(store.runs.samples("run-2")) == 1
        assert store.check() == []
    with sqlite3.connect(home.checkpoints) as memory:
        assert memory.execute("select thread_id from checkpoints").fetchall() == [("kept",)]
    memory.close()


def test_a_later_prompt_loses_the_forgotten_exchange_alone(home: Home) -> None:
    forget(home, Wanted("turn", "turn-mixed-1"))
    with Store.open(home.database) as store:
        third = store.turns.get("turn-mixed-2")
        first = store.turns.get("turn-mixed-0")
        assert third.prompt == (*after(first), third.prompt[-1])
        assert third.user_text == f"Tell me about {KEPT} number 2, please."


def test_the_turn_after_a_forgotten_one_is_no_follow_up_of_the_one_before(home: Home) -> None:
    forget(home, Wanted("turn", "turn-mixed-1"))
    with Store.open(home.database) as store:
        first, third = store.turns.get("turn-mixed-0"), store.turns.get("turn-mixed-2")
        assert store.turns.follow_up_of(first) is None
        assert store.turns.previous_of(third) is None


def test_what_a_client_replays_does_not_come_back(home: Home) -> None:
    with Store.open(home.database) as store:
        second = store.turns.get("turn-mixed-1")
        third = store.turns.get("turn-mixed-2")
    forget(home, Wanted("turn", "turn-mixed-1"))
    forget(home, Wanted("conversation", "secret"))
    with Store.open(home.database) as store:
        assert not store.turns.add(second)
        replayed = (*after(second), Message("user", "And now?"))
        spaced = tuple(replace(m, content=f"{m.content}\n") for m in replayed)
        store.turns.add(replace(third, id="turn-mixed-9", prompt=spaced, user_text="And now?"))
    assert files_holding(home, SECRET) == []


def test_a_preview_says_what_would_go_and_changes_nothing(home: Home) -> None:
    before = {p: p.read_bytes() for p in home.runs.rglob("*") if p.is_file()}
    found = preview(home, ALL)
    with Store.open(home.database) as store:
        assert store.turns.count() == 9
        assert not any(adapter.tainted for adapter in store.adapters.list())
    assert {p: p.read_bytes() for p in before} == before
    done = forget(home, ALL)
    assert replace(found, done=True) == done


def test_versions_that_learned_from_it_are_tainted_and_no_others(home: Home) -> None:
    assert forget(home, Wanted("turn", "turn-mixed-1")).tainted == ()
    with Store.open(home.database) as store:
        store.rules.update("rule-secret", first_seen="2999-01-01")
    assert forget(home, Wanted("conversation", "secret")).tainted == (1,)


def test_what_was_taught_by_a_rule_that_goes_is_tainted_too(home: Home) -> None:
    assert forget(home, Wanted("conversation", "secret")).tainted == (1, 2)


def test_a_tainted_version_is_not_gone_back_to_and_can_be_deleted(home: Home) -> None:
    with Store.open(home.database) as store:
        store.rules.update("rule-secret", first_seen="2999-01-01")
    forget(home, Wanted("conversation", "secret"))
    with Store.open(home.database) as store:
        registry = Registry(store, home)
        with pytest.raises(GateRefused, match="forgotten"):
            registry.rollback(why="test")
        assert registry.delete(registry.tainted(), why="test") == [1]
        assert not registry.folder(1).exists()
        assert registry.champion() == 2
        assert registry.delete([2], why="test") == [2]
        assert registry.champion() == BASE_VERSION


def test_the_nights_that_used_it_are_given_up(home: Home) -> None:
    forget(home, ALL)
    with Store.open(home.database) as store:
        assert store.runs.get("run-3").status == "interrupted"
    assert not (home.runs / "run-3").exists()


KILLED = """
import os, signal, sys
from align_agent.paths import Home
from align_agent.privacy.forget import forget
from align_agent.privacy.wanted import Wanted
def stop(step):
    if step == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
forget(Home(__import__("pathlib").Path(sys.argv[1])), Wanted("query", sys.argv[3]), on_step=stop)
"""


@pytest.mark.parametrize("step", STEPS)
def test_a_forgetting_killed_at_any_step_is_finished_later(home: Home, step: str) -> None:
    command = [sys.executable, "-c", KILLED, str(home.root), step, SECRET]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    begun = step != "tables"
    assert resume(home) == int(begun)
    assert resume(home) == 0
    if not begun:  # killed before its one transaction: nothing happened at all
        assert "align.db" in files_holding(home, SECRET)
        forget(home, ALL)
    assert files_holding(home, SECRET) == []


def test_others_may_have_the_database_open_and_go_on_writing(home: Home) -> None:
    with Store.open(home.database) as other:
        other.turns.list()
        forget(home, ALL)
        assert files_holding(home, SECRET) == []
        other.turns.add(turn(7, KEPT, "kept"))
        assert other.turns.count() == 6


def test_a_night_that_runs_is_stopped_first(home: Home) -> None:
    script = (
        "import signal, sys, time\n"
        "from pathlib import Path\n"
        "from align_agent.night.lock import NightLock\n"
        "with NightLock(Path(sys.argv[1])):\n"
        "    print('locked', flush=True)\n"
        "    time.sleep(60)\n"
    )
    night = subprocess.Popen(
        [sys.executable, "-c", script, str(home.night_lock)], stdout=subprocess.PIPE, text=True
    )
    assert night.stdout is not None and night.stdout.readline() == "locked\n"
    forget(home, ALL)
    assert night.wait() == -signal.SIGTERM
    night.stdout.close()
    assert not NightLock(home.night_lock).busy()


def test_a_backup_that_is_no_database_is_removed(home: Home) -> None:
    (home.backups / "broken.db").write_bytes(os.urandom(100) + SECRET.encode())
    forget(home, ALL)
    assert not (home.backups / "broken.db").exists()
    assert len(list(home.backups.glob("*.db"))) == 1


@pytest.mark.parametrize(
    ("query", "text", "there"),
    [
        ("dog", "My Dogs bark.", True),
        ("dog", "hotdog", False),
        ("cafe", "the Café", True),
        ('"red car"', "a red\n car", True),
        ('"red car"', "a car, red", False),
        ("red car", "a car, red", True),
        ("猫", "私の猫です", True),
        ("c++", "I like C++.", True),
    ],
)
def test_a_query_means_what_a_search_means(query: str, text: str, there: bool) -> None:
    assert Words(query)(text) is there


def test_an_id_is_told_from_words(home: Home) -> None:
    with Store.open(home.database) as store:
        assert meant(store, "secret") == Wanted("conversation", "secret")
        assert meant(store, "turn-secret-1") == Wanted("turn", "turn-secret-1")
        assert meant(store, "the sea").kind == "query"
        assert meant(store, "secret", "query").kind == "query"
        with pytest.raises(NotFound):
            meant(store, "turn-nowhere")
        with pytest.raises(InputError):
            meant(store, "a")


def test_a_solved_problem_that_holds_the_words_is_forgotten_with_its_folder(home: Home) -> None:
    for name, word in (("run-8", SECRET), ("run-9", KEPT)):
        (home.runs / name).mkdir()
        (home.runs / name / "report.json").write_text(f'{{"problem": "Where is {word}?"}}')
    forget(home, ALL)
    assert files_holding(home, SECRET) == []
    assert (home.runs / "run-9" / "report.json").exists()
