from __future__ import annotations

import shutil
import sys
import threading
from pathlib import Path

import pytest
from cli_helpers import Cli

from align_agent.adapters.registry import Registry
from align_agent.night.lock import NightLock
from align_agent.paths import Home, size_of
from align_agent.records import Turn
from align_agent.store import Store


def test_status_of_no_home_says_how_to_make_one(cli: Cli, home: Home) -> None:
    assert "align-agent init" in cli("status").out
    assert cli("status", "--json").json == {"home": str(home.root), "initialised": False}
    assert not home.root.exists()


def test_status_names_the_champion_and_since_when(cli: Cli, lived: Home) -> None:
    data = cli("status", "--json").json
    assert data["champion"]["label"] == "v2" and data["champion"]["since"]
    assert "pocket, v2 since" in cli("status").out


def test_status_of_a_lost_database_names_the_newest_backup(cli: Cli, lived: Home) -> None:
    backup = cli("store", "backup").out.strip()
    lived.database.unlink()
    assert backup in cli("status", code=1).err


def test_status_of_a_fresh_home_serves_the_base(cli: Cli, made: Home) -> None:
    data = cli("status", "--json").json
    assert data["champion"]["label"] == "base" and data["last_night"] is None
    assert "none so far" in cli("status").out


def test_status_tells_how_the_last_night_ended_and_why(cli: Cli, lived: Home) -> None:
    assert cli("status", "--json").json["last_night"]["reason"] == "it gained"
    assert "promoted: it gained" in cli("status").out


def test_status_tells_a_running_night_by_its_phase(cli: Cli, lived: Home) -> None:
    with Store.open(lived.database) as store:
        store.runs.update("run-2", status="running", phase="train", reason="")
    with NightLock(lived.night_lock):
        assert "running (train)" in cli("status").out


def test_status_says_why_no_night_may_run_now(cli: Cli, lived: Home) -> None:
    cli("adapters", "hold", "exam week")
    ahead = cli("status", "--json").json["next_night"]
    assert ahead["may_run_now"] is False
    assert any("exam week" in reason for reason in ahead["reasons"])
    assert "exam week" in cli("status").out


def test_status_says_that_nothing_starts_the_next_night(cli: Cli, made: Home) -> None:
    assert cli("status", "--json").json["next_night"]["scheduler_running"] is False
    assert "schedule run" in cli("status").out
    with NightLock(made.root / "scheduler.lock"):
        assert cli("status", "--json").json["next_night"]["scheduler_running"] is True


def test_status_says_that_the_schedule_is_off(cli: Cli, made: Home) -> None:
    made.config.write_text("schedule:\n  enabled: false\n")
    assert cli("status", "--json").json["next_night"]["next"] is None
    assert "schedule.enabled" in cli("status").out


def test_status_counts_turns_feedback_and_rules(cli: Cli, lived: Home) -> None:
    data = cli("status", "--json").json
    assert data["turns"] == {"total": 4, "corrected": 1}
    assert data["feedback"] == {"negative": 1} and data["rules"] == {"active": 1}


def test_status_tells_what_answers_in_place_of_a_damaged_champion(cli: Cli, lived: Home) -> None:
    (lived.adapters / "v0002" / "adapter_model.safetensors").write_bytes(b"flipped")
    with Store.open(lived.database) as store:
        Registry(store, lived).serving()
    result = cli("status")
    assert "pocket, v1 in place of v2" in result.out and "adapter v0002 is damaged" in result.err


def test_status_warns_of_lost_turns(cli: Cli, made: Home) -> None:
    with Store.open(made.database) as store:
        store.counters.bump("capture.dropped", 2)
    result = cli("status")
    assert "2 capture.dropped" in result.out and "warning:" in result.err
    assert cli("status", "--json").json["losses"] == {"capture.dropped": 2}


def test_status_says_when_there_is_nothing_to_learn_from(cli: Cli, lived: Home) -> None:
    with Store.open(lived.database) as store:
        for turn in store.turns.list():
            store.turns.exclude(turn.id)
        for rule in store.rules.list():
            store.rules.update(rule.id, status="retired")
    assert "nothing to learn from yet" in cli("status").out


def test_status_counts_the_disk(cli: Cli, lived: Home) -> None:
    disk = cli("status", "--json").json["disk"]
    assert disk["used_bytes"] >= lived.database.stat().st_size and disk["free_bytes"] > 0


def test_status_of_a_broken_configuration_is_a_configuration_error(cli: Cli, made: Home) -> None:
    made.config.write_text("modle:\n  seed: 1\n")
    assert "model" in cli("status", code=2).err


def test_status_works_where_the_scheduler_is_not_installed(
    cli: Cli, made: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("apscheduler")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "apscheduler", None)
    ahead = cli("status", "--json").json["next_night"]
    assert ahead["next"] is None
    assert any("align-agent[schedule]" in reason for reason in ahead["reasons"])
    assert "unknown" in cli("status").out


def test_status_warns_when_nothing_that_comes_can_be_learned_from(cli: Cli, made: Home) -> None:
    assert cli("status", "--json").json["arrivals"]["alarm"] == ""
    with Store.open(made.database) as store:
        for number in range(3):
            store.turns.add(Turn("c", (), (), "tick", "", id=f"turn-{number}", main=False))
            store.links.note(f"turn-{number}", "side", "heartbeat")
    data = cli("status", "--json").json["arrivals"]
    assert (data["latest"], data["usable"]) == (3, 0)
    assert data["reasons"] == {"not the human's own (heartbeat)": 3}
    warning = cli("status").err
    assert "none of the last 3 turns" in warning and "3 not the human's own (heartbeat)" in warning


def test_the_size_of_a_home_where_files_come_and_go_can_be_told(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"12345")
    ended = threading.Event()

    def night() -> None:
        while not ended.is_set():
            for number in range(50):
                (tmp_path / f"run-{number}").mkdir()
                (tmp_path / f"run-{number}" / "passing").touch()
            for number in range(50):
                shutil.rmtree(tmp_path / f"run-{number}")

    writer = threading.Thread(target=night)
    writer.start()
    try:
        sizes = {size_of(tmp_path) for _ in range(300)}
    finally:
        ended.set()
        writer.join()
    assert sizes == {5}
