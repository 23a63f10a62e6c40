from __future__ import annotations

import io
import json
import sqlite3
import stat
from pathlib import Path

import pytest
from cli_helpers import Cli

from align_agent.night.lock import NightLock
from align_agent.paths import Home
from align_agent.records import Run
from align_agent.store import Store


def test_init_makes_a_home_for_its_owner_alone(cli: Cli, home: Home) -> None:
    cli("init")
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    assert home.config.exists() and home.database.exists()


def test_init_keeps_what_is_there(cli: Cli, made: Home) -> None:
    made.config.write_text("model:\n  seed: 7\n")
    assert cli("init", "--json").json["created"] == []
    assert made.config.read_text() == "model:\n  seed: 7\n"


def test_init_brings_the_skills_that_the_agent_reads(cli: Cli, made: Home) -> None:
    from align_agent.agent.skills import read_skills

    names = {skill.name for skill in read_skills([made.root / "skills"])[0]}
    assert {"align-status", "align-feedback", "align-rollback"} <= names


def test_init_begins_anew_where_a_database_was_lost_only_when_told_to(
    cli: Cli, lived: Home
) -> None:
    lived.database.unlink()
    cli("init", code=1)
    assert cli("init", "--fresh", "--json").json["created"] == ["database"]
    assert cli("status", "--json").json["turns"]["total"] == 0
    assert (lived.adapters / "v0002").exists()


def test_init_does_not_replace_a_database(cli: Cli, lived: Home) -> None:
    assert "nothing was lost" in cli("init", "--fresh", code=2).err
    assert cli("status", "--json").json["turns"]["total"] == 4


def test_skills_of_ones_own_are_left_as_they_are(cli: Cli, home: Home) -> None:
    (home.root / "skills" / "mine").mkdir(parents=True)
    cli("init")
    assert [path.name for path in (home.root / "skills").iterdir()] == ["mine"]


def test_a_new_configuration_pins_no_default(cli: Cli, made: Home) -> None:
    rows = cli("config", "show", "--json").json
    assert {row["source"] for row in rows} == {"default"}


def test_config_show_names_the_line_that_sets_a_value(cli: Cli, made: Home) -> None:
    made.config.write_text("model:\n  seed: 7\n")
    row = next(r for r in cli("config", "--json").json if r["key"] == "model.seed")
    assert row["value"] == 7 and row["source"].endswith(":2")


def test_config_show_does_not_show_the_servers_token(cli: Cli, made: Home) -> None:
    made.config.write_text("server:\n  token: open-sesame-123\n")
    row = next(r for r in cli("config", "--json").json if r["key"] == "server.token")
    assert row["value"] == "(set)"
    assert "open-sesame" not in cli("config", "show").out


def test_config_check_refuses_an_unknown_key_with_its_line(cli: Cli, made: Home) -> None:
    made.config.write_text("model:\n  seeed: 7\n")
    err = cli("config", "check", code=2).err
    assert "2" in err and "seed" in err and "hint:" in err


def test_config_check_accepts_the_printed_example(cli: Cli, made: Home) -> None:
    made.config.write_text(cli("config", "example").out)
    assert cli("config", "check").out.startswith("ok")


@pytest.mark.parametrize("noun", ["config", "store"])
def test_path_needs_no_home(noun: str, cli: Cli, home: Home) -> None:
    path = Path(cli(noun, "path").out.strip())
    assert path.is_relative_to(home.root)


def test_turns_are_listed_newest_first(cli: Cli, lived: Home) -> None:
    rows = cli("turns", "--json").json
    assert [row["created_at"] for row in rows] == sorted(
        (row["created_at"] for row in rows), reverse=True
    )


def test_turns_search_finds_words(cli: Cli, lived: Home) -> None:
    rows = cli("turns", "--search", '"is 3 plus"', "--json").json
    assert [row["user"] for row in rows] == ["What is 3 plus 1?"]


def test_turns_table_shows_what_was_thought_of_them(cli: Cli, lived: Home) -> None:
    assert "negative" in cli("turns").out


def test_turns_show_tells_the_feedback_and_the_next_message(cli: Cli, lived: Home) -> None:
    first = cli("turns", "--json").json[-1]["id"]
    out = cli("turns", "show", first).out
    assert "No bold, please." in out and "What is 2 plus 1?" in out


def test_turns_show_gives_messages_as_json(cli: Cli, lived: Home) -> None:
    first = cli("turns", "--json").json[-1]["id"]
    data = cli("turns", "show", first, "--json").json
    assert data["turn"]["prompt"] == [{"role": "user", "content": "What is 1 plus 1?"}]


def test_an_excluded_turn_can_be_let_in_again(cli: Cli, lived: Home) -> None:
    first = cli("turns", "--json").json[0]["id"]
    cli("turns", "exclude", first)
    assert cli("turns", "--json").json[0]["excluded"] is True
    cli("turns", "exclude", first, "--undo")
    assert cli("turns", "--json").json[0]["excluded"] is False


def test_excluding_is_all_or_nothing_when_an_id_is_wrong(cli: Cli, lived: Home) -> None:
    first = cli("turns", "--json").json[0]["id"]
    cli("turns", "exclude", first, "nothing", code=1)
    assert cli("turns", "--json").json[0]["excluded"] is False


def test_feedback_can_be_shown_and_dismissed(cli: Cli, lived: Home) -> None:
    opinion = cli("feedback", "--json").json[0]
    assert "No bold, please." in cli("feedback", "show", opinion["id"]).out
    cli("feedback", "dismiss", opinion["id"])
    assert cli("feedback", "--json").json[0]["dismissed"] is True


def test_feedback_list_can_be_narrowed(cli: Cli, lived: Home) -> None:
    assert cli("feedback", "--polarity", "positive", "--json").json == []
    assert "No bold" in cli("feedback", "--polarity", "negative").out


def test_rating_a_turn_adds_feedback(cli: Cli, lived: Home) -> None:
    first = cli("turns", "--json").json[0]["id"]
    added = cli("feedback", "add", first, "down", "too long", "--json").json
    assert added["polarity"] == "negative"
    assert cli("feedback", "add", first, "up").out.strip().endswith("rated up")


def test_rules_go_through_their_life(cli: Cli, lived: Home) -> None:
    added = cli("rules", "add", "Mention the unit.", "--json").json
    assert added["status"] == "active"
    assert added["polarity"] == "do" and "Mention the unit." in cli("rules").out
    assert cli("rules", "edit", added["id"], "Name the unit.", "--json").json["text"] == (
        "Name the unit."
    )
    assert cli("rules", "retire", added["id"], "--json").json["status"] == "retired"
    assert cli("rules", "accept", added["id"], "--json").json["status"] == "active"


def test_rules_declared_in_the_configuration_are_listed(cli: Cli, made: Home) -> None:
    made.config.write_text('preferences:\n  rules: ["Mention the unit."]\n')
    rules = cli("rules", "--status", "declared", "--json").json
    assert [rule["text"] for rule in rules] == ["Mention the unit."]


def test_a_rule_shows_the_turns_behind_it(cli: Cli, lived: Home) -> None:
    rule = cli("rules", "--json").json[0]
    turns = cli("rules", "show", rule["id"], "--json").json["turns"]
    assert len(turns) == 1 and turns[0] in cli("rules", "show", rule["id"]).out


def test_runs_are_listed_with_their_reason(cli: Cli, lived: Home) -> None:
    assert [run["id"] for run in cli("runs", "--json").json] == ["run-2", "run-1"]
    assert "it gained" in cli("runs").out


def test_the_latest_run_is_shown_with_verdict_and_samples(cli: Cli, lived: Home) -> None:
    out = cli("runs", "show").out
    assert "run-2" in out and "Gained 0.5." in out and "> What is 1 plus 1?" in out
    data = cli("runs", "show", "run-1", "--json").json
    assert data["turns"][0]["use"] == "train" and data["metrics"][0]["loss"] == 0.5


def test_a_run_shows_each_gate_with_its_intervals(cli: Cli, lived: Home) -> None:
    from align_agent.gate.report import Judgement, Measure

    lost = Measure(
        "correct", "ability", "probes right", {"candidate": 0.7}, "memory", 100, -0.25, -0.34,
        -0.16, -0.02, "bad", "it lost 25 points",
    )  # fmt: skip
    with Store.open(lived.database) as store:
        judged = Judgement("reject", ("it lost 25 points",), (), (lost,))
        store.runs.update("run-2", verdict=judged.to_dict())
    out = cli("runs", "show", "--details").out
    assert "FAILED: ability" in out and "-0.340 to -0.160" in out
    short = cli("runs", "show").out
    assert "It lost 25 points." in short and "-0.340" not in short and "--details" in short


def test_a_night_that_made_nothing_is_not_said_to_have_learned(cli: Cli, lived: Home) -> None:
    with Store.open(lived.database) as store:
        turn = store.turns.list()[0]
        store.runs.create(Run("run-3", "skipped", reason="nothing new"))
        store.runs.add_turns("run-3", [(turn.id, "train", "corrected")])
    out = cli("runs", "show").out
    assert "1 to learn from" in out and "learned from" not in out and "Nothing new." in out


def test_showing_the_latest_run_before_any_night_says_how_to_start_one(
    cli: Cli, made: Home
) -> None:
    assert "distill run" in cli("runs", "show", code=1).err


def test_adapters_are_listed_with_their_names(cli: Cli, lived: Home) -> None:
    rows = cli("adapters", "--json").json
    assert [(row["label"], row["aliases"]) for row in rows] == [
        ("v2", ["champion"]),
        ("v1", ["previous"]),
    ]
    assert "champion" in cli("adapters").out


def test_the_timeline_tells_the_story_of_the_versions(cli: Cli, lived: Home) -> None:
    rows = cli("adapters", "timeline", "--json").json
    assert {row["kind"] for row in rows} == {"made", "moved"}
    assert "champion: v1 -> v2" in cli("adapters", "timeline").out


def test_a_version_that_was_exported_can_be_imported(cli: Cli, lived: Home, tmp_path: Path) -> None:
    from align_agent.adapters import files
    from align_agent.models.files import fingerprint, locate

    carried = tmp_path / "carried"
    carried.mkdir()
    (carried / "adapter_model.safetensors").write_bytes(b"other weights")
    refused = cli("adapters", "import", str(carried), code=1).err
    assert "manifest" in refused
    files.write_manifest(carried, base="pocket", base_hash=fingerprint(locate("pocket")))
    assert cli("adapters", "import", str(carried), "--json").json["label"] == "v3"
    assert "was here before" not in cli("adapters", "import", str(carried)).out
    (carried / files.MANIFEST).unlink()
    files.write_manifest(carried, base="pocket", base_hash="another")
    assert "trained on `pocket`" in cli("adapters", "import", str(carried), code=1).err


def test_adapters_of_another_base_are_left_out_when_asked(cli: Cli, lived: Home) -> None:
    assert cli("adapters", "list", "--base", "other", "--json").json == []


def test_an_adapter_shows_its_lineage_and_history(cli: Cli, lived: Home) -> None:
    data = cli("adapters", "show", "v1", "--json").json
    assert len(data["lineage"]) == 1
    served = [row["after"] for row in data["history"] if row["name"] == "champion"]
    assert served == [2, 1]
    out = cli("adapters", "show").out
    assert "v2" in out and data["lineage"][0] in out


def test_the_base_can_be_shown(cli: Cli, made: Home) -> None:
    assert cli("adapters", "show", "--json").json["aliases"] == ["champion"]
    assert "base" in cli("adapters", "show").out


def test_rollback_goes_back_and_holds_promotion(cli: Cli, lived: Home) -> None:
    result = cli("adapters", "rollback")
    assert "v2 -> v1" in result.out and "release" in result.err
    assert cli("status", "--json").json["held"]
    cli("adapters", "release")
    assert cli("status", "--json").json["held"] == ""


def test_a_night_that_has_to_wait_for_the_window_is_told(cli: Cli, made: Home) -> None:
    made.config.write_text('schedule:\n  cron: "0 12 * * *"\n  window: "22:00-02:00"\n')
    result = cli("config", "check")
    assert result.out.startswith("ok") and "waits until the window opens" in result.err
    assert cli("schedule", "--json").json["next"][11:16] == "22:00"


@pytest.mark.parametrize("words", ["", "  "])
def test_a_search_for_nothing_is_misuse(cli: Cli, lived: Home, words: str) -> None:
    assert "nothing to search for" in cli("turns", "--search", words, code=2).err


def test_a_second_rollback_is_misuse(cli: Cli, lived: Home) -> None:
    cli("adapters", "rollback")
    err = cli("adapters", "rollback", code=2).err
    assert "already rolled back" in err and "adapters promote v2" in err


def test_promoting_what_serves_says_so(cli: Cli, lived: Home) -> None:
    assert cli("adapters", "promote", "v2").out.strip() == "v2 serves already"


def test_a_damaged_champion_is_marked_among_the_versions(cli: Cli, lived: Home) -> None:
    (lived.adapters / "v0002" / "adapter_model.safetensors").write_bytes(b"flipped")
    assert "is damaged" in cli("adapters").out
    rows = cli("adapters", "--json").json
    assert [bool(row["damaged"]) for row in rows] == [True, False]


def test_promote_moves_forward_again(cli: Cli, lived: Home) -> None:
    cli("adapters", "rollback")
    assert cli("adapters", "promote", "v2", "--json").json == {"old": 1, "new": 2}


def test_promoting_what_the_gate_rejected_exits_with_3(cli: Cli, lived: Home) -> None:
    with Store.open(lived.database) as store:
        store.adapters.update(1, verdict="reject", reasons=("it lost",))
    assert "it lost" in cli("adapters", "promote", "v1", code=3).err
    assert "v2 -> v1" in cli("adapters", "promote", "v1", "--force").out


def test_a_damaged_version_is_not_promoted(cli: Cli, lived: Home) -> None:
    weights = lived.adapters / "v0001" / "adapter_model.safetensors"
    weights.write_bytes(b"x" * 64)
    err = cli("adapters", "promote", "v1", code=1).err
    assert "adapter_model.safetensors" in err and "hint:" in err


def test_hold_keeps_its_reason(cli: Cli, lived: Home) -> None:
    cli("adapters", "hold", "exam week")
    assert "exam week" in cli("adapters").err


def test_prune_needs_a_yes_where_there_is_no_terminal(
    cli: Cli, lived: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    _spare(lived)
    assert "--yes" in cli("adapters", "prune", "--keep", "0", code=2).err
    assert (lived.adapters / "v0003").is_dir()


def _spare(home: Home) -> None:
    """A third version that nothing points to."""
    from align_agent.adapters.registry import Registry

    staged = home.root / "staged"
    staged.mkdir()
    (staged / "adapter_model.safetensors").write_bytes(b"3" * 64)
    with Store.open(home.database) as store:
        registry = Registry(store, home)
        run = store.runs.get("run-2")
        from dataclasses import replace

        store.runs.create(replace(run, id="run-3"))
        registry.register(staged, base="pocket", base_hash="", run_id="run-3", verdict="reject")


def test_prune_shows_first_and_deletes_with_yes(cli: Cli, lived: Home) -> None:
    _spare(lived)
    dry = cli("adapters", "prune", "--keep", "0", "--dry-run", "--json").json
    assert dry == {"deleted": [3], "dry_run": True}
    assert (lived.adapters / "v0003").is_dir()
    assert "deleted v3" in cli("adapters", "prune", "--keep", "0", "--yes").out
    assert not (lived.adapters / "v0003").exists()


def test_a_pinned_version_is_kept(cli: Cli, lived: Home) -> None:
    _spare(lived)
    cli("adapters", "pin", "v3")
    assert cli("adapters", "prune", "--keep", "0", "--yes", "--json").json["deleted"] == []
    assert "pinned" in cli("adapters").out
    cli("adapters", "pin", "v3", "--undo")
    assert cli("adapters", "prune", "--keep", "0", "--yes", "--json").json["deleted"] == [3]


def test_the_base_cannot_be_pinned(cli: Cli, lived: Home) -> None:
    assert "no adapter" in cli("adapters", "pin", "base", code=2).err


@pytest.mark.parametrize("noun", [["runs"], ["runs", "show", "run-3"], ["status"]])
def test_a_night_whose_process_is_gone_does_not_run(cli: Cli, lived: Home, noun: list[str]) -> None:
    with Store.open(lived.database) as store:
        store.runs.create(Run("run-3", "running", phase="preflight"))
    out = cli(*noun).out
    assert "interrupted" in out and "cut off in its phase preflight" in out
    with NightLock(lived.night_lock):
        assert "running" in cli(*noun).out


@pytest.mark.parametrize("command", [("turns",), ("status",), ("adapters",), ("store",)])
def test_a_foreign_database_is_told_with_a_hint(
    command: tuple[str, ...], cli: Cli, made: Home
) -> None:
    for path in made.root.glob("align.db*"):
        path.unlink()
    with sqlite3.connect(made.database) as raw:
        raw.execute("CREATE TABLE recipes (name TEXT)")
    raw.close()
    before = made.database.read_bytes()
    assert "hint:" in cli(*command, code=1).err
    assert made.database.read_bytes() == before


@pytest.mark.parametrize("command", [("turns",), ("status",), ("adapters",), ("distill", "plan")])
def test_a_database_of_a_newer_version_is_told_with_a_hint(
    command: tuple[str, ...], cli: Cli, lived: Home
) -> None:
    with sqlite3.connect(lived.database) as raw:
        (version,) = raw.execute("PRAGMA user_version").fetchone()
        raw.execute(f"PRAGMA user_version = {version + 1}")
    raw.close()
    told = cli(*command, code=1).err
    assert "newer align-agent" in told
    assert "upgrade" in told


def test_json_goes_to_standard_output_alone(cli: Cli, lived: Home) -> None:
    for command in (("turns",), ("runs", "show"), ("adapters", "show", "v1"), ("status",)):
        json.loads(cli(*command, "--json").out)
