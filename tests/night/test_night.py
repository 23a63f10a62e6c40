"""Whole nights on a tiny real model: how they end, and what they leave behind."""

import subprocess
import sys

import pytest
from nights import BAD, LEARNS, RULE, configure, conversation, make_home, talk

from align_agent.adapters import files, working
from align_agent.adapters.registry import Registry
from align_agent.errors import ConfigError, InputError
from align_agent.night.progress import Silent
from align_agent.night.run import exit_code, explain, run_night
from align_agent.night.told import ending
from align_agent.paths import Home
from align_agent.records import Run
from align_agent.store import Store


def night(home: Home, **more) -> Run:
    return run_night(home, progress=Silent(), **more)


def serving(home: Home) -> int:
    with Store.open(home.database) as store:
        return Registry(store, home).serving()[0]


# A night that learned


def test_what_a_good_night_made_serves(learned):
    assert serving(learned) == 1


def test_the_run_says_how_it_ended_and_why(learned):
    with Store.open(learned.database) as store:
        run = store.runs.latest()
    assert (run.status, run.candidate, run.parent) == ("promoted", 1, 0)
    assert "the new version" in run.reason
    assert run.finished_at > run.started_at
    assert run.verdict["verdict"] == "promote"


def test_every_turn_has_a_use_and_a_reason(learned):
    with Store.open(learned.database) as store:
        uses = store.runs.turns_of(store.runs.latest().id)
        assert len(uses) == store.turns.count()
    assert all(reason for _, _, reason in uses)
    assert {use for _, use, _ in uses} == {"train", "heldout"}


def test_whole_conversations_are_held_out(learned):
    with Store.open(learned.database) as store:
        places: dict[str, set[str]] = {}
        for turn_id, use, _ in store.runs.turns_of(store.runs.latest().id):
            places.setdefault(store.turns.get(turn_id).conversation_id, set()).add(use)
    assert all(len(uses) == 1 for uses in places.values())


def test_the_lineage_is_exactly_what_was_trained_on(learned):
    with Store.open(learned.database) as store:
        uses = store.runs.turns_of(store.runs.latest().id)
        lineage = Registry(store, learned).lineage(1)
    assert lineage == [turn_id for turn_id, use, _ in uses if use == "train"]


def test_each_training_step_left_its_figures(learned):
    with Store.open(learned.database) as store:
        metrics = store.runs.metrics(store.runs.latest().id)
    steps = [row for row in metrics if "loss" in row]
    assert [row["step"] for row in steps] == list(range(1, len(steps) + 1))
    assert all({"loss", "kl", "grad_norm", "learning_rate"} <= row.keys() for row in steps)


def test_the_gates_figures_stand_beside_the_trainings(learned):
    with Store.open(learned.database) as store:
        last = store.runs.metrics(store.runs.latest().id)[-1]
    assert {"gate_base_correct", "gate_champion_correct", "gate_candidate_correct"} <= last.keys()


def test_samples_show_held_out_prompts_before_and_after(learned):
    with Store.open(learned.database) as store:
        run = store.runs.latest()
        samples = store.runs.samples(run.id)
        held = [i for i, use, _ in store.runs.turns_of(run.id) if use == "heldout"]
        asked = {store.turns.get(turn_id).user_text for turn_id in held}
    assert len(samples) == 3
    assert {sample["prompt"] for sample in samples} <= asked
    assert all(sample["before"] == sample["base"] for sample in samples)
    assert any(sample["before"] != sample["after"] for sample in samples)


def test_the_table_compares_base_champion_candidate_and_memory(learned):
    with Store.open(learned.database) as store:
        table = store.runs.latest().verdict["table"]
    whos = [row["who"] for row in table]
    assert whos == ["base", "champion", "candidate", "base with your rules"]


def test_no_text_of_the_user_is_left_in_the_runs_folder(learned):
    asked = conversation(0)[0].user_text
    left = [path for path in learned.runs.rglob("*") if path.is_file()]
    assert left
    assert not any(asked in path.read_text(errors="replace") for path in left)


def test_the_promotion_is_in_the_history_with_its_reason(learned):
    with Store.open(learned.database) as store:
        move = next(m for m in store.adapters.history() if m["name"] == "champion")
    assert (move["after"], move["who"]) == (1, "night")
    assert "the new version" in move["why"]


def test_the_same_night_again_gives_the_same_weights(learned, tmp_path, tiny_model_dir):
    again = make_home(tmp_path / "again", tiny_model_dir, **LEARNS)
    talk(again, 6)
    night(again)
    weights = "v0001/adapter_model.safetensors"
    assert (again.adapters / weights).read_bytes() == (learned.adapters / weights).read_bytes()


# Nights that end otherwise


def test_a_home_without_turns_has_nothing_to_learn(tmp_path, tiny_model_dir):
    run = night(make_home(tmp_path / "home", tiny_model_dir))
    assert run.status == "skipped"
    assert run.reason.startswith("nothing to learn")
    assert exit_code(run) == 0


def test_a_night_with_nothing_to_learn_never_loads_torch(tmp_path, tiny_model_dir):
    home = make_home(tmp_path / "home", tiny_model_dir)
    code = (
        "import sys\nfrom align_agent.night.__main__ import main\n"
        f"code = main(['--home', {str(home.root)!r}])\n"
        "print(code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0 False"


def test_fewer_turns_than_asked_for_are_nothing_to_learn_yet(tmp_path, tiny_model_dir):
    home = make_home(tmp_path / "home", tiny_model_dir, distill={"min_turns": 4})
    talk(home, 1, 2)
    run = night(home)
    assert (run.status, run.candidate) == ("skipped", None)
    assert "2 turns to learn from" in run.reason


def test_a_follow_up_that_tells_the_model_nothing_is_nothing_to_learn(learned):
    configure(learned, feedback={"gap_threshold": 100.0})
    run = night(learned)
    assert run.status == "skipped"
    assert "gap" in run.reason
    assert serving(learned) == 1


def test_rules_that_are_kept_already_are_nothing_to_learn(tmp_path, tiny_model_dir):
    # One token is never more than five words, with or without being told.
    home = make_home(tmp_path / "home", tiny_model_dir)
    talk(home)
    with Store.open(home.database) as store:
        from align_agent.records import Rule

        for turn in store.turns.all_main():
            for feedback in store.feedback.for_turn(turn.id):
                store.feedback.dismiss(feedback.id)
        store.rules.add(Rule(RULE, "active", check={"name": "max_words", "n": 5}))
    configure(home, model={"max_new_tokens": 1, "temperature": 0})
    run = night(home)
    assert run.status == "skipped"
    assert "rule checks on your prompts" in run.reason


def test_a_candidate_that_did_not_gain_is_rejected_but_kept(learned):
    configure(learned, distill={"learning_rate": 1e-8, "epochs": 1})
    with Store.open(learned.database) as store:
        working.advance(store, learned, lambda f: (f / "weights").touch(), 1, "hash")
    run = night(learned)
    assert (run.status, run.candidate) == ("rejected", 2)
    with Store.open(learned.database) as store:
        assert working.standing(store) is None  # the night decided what remains: nothing
    assert "did not gain" in run.reason
    assert serving(learned) == 1
    assert exit_code(run) == 3
    with Store.open(learned.database) as store:
        files.verify(learned.adapters / "v0002", store.adapters.get(2).manifest_sha256)
        assert store.runs.samples(run.id)


def test_a_version_of_another_base_than_the_configured_one_waits(tmp_path, tiny_model_dir):
    home = make_home(tmp_path / "home", tiny_model_dir, **LEARNS)
    talk(home, 6)
    configure(home, model={"base": "pocket"})
    run = run_night(home, progress=Silent(), base=str(tiny_model_dir))
    assert (run.status, serving(home)) == ("review", 0), run.reason
    assert f"once model.base names {tiny_model_dir}" in run.reason


def test_a_skipped_night_does_not_say_that_nothing_changed():
    run = Run("run-1", "skipped", reason="the base answers in its place")
    assert "changed" not in ending(run)


def test_in_review_mode_a_good_candidate_waits_for_the_user(tmp_path, tiny_model_dir):
    home = make_home(tmp_path / "home", tiny_model_dir, **LEARNS)
    configure(home, gate={"mode": "review"})
    talk(home, 6)
    run = night(home)
    assert (run.status, serving(home)) == ("review", 0)
    with Store.open(home.database) as store:
        registry = Registry(store, home)
        registry.promote(registry.resolve("candidate"), why="looks good")
    assert serving(home) == 1


def test_pinned_prompts_and_canaries_stand_in_the_judgement(tmp_path, tiny_model_dir):
    home = make_home(tmp_path / "home", tiny_model_dir)
    pinned = [{"text": "Hello!", "check": {"name": "contains", "text": "never said"}}]
    configure(home, gate={"pinned": pinned, "canaries": ["purple heron"]})
    talk(home, 3)
    measures = {row["key"]: row for row in night(home).verdict["measures"]}
    assert (measures["pinned"]["n"], measures["pinned"]["values"]["candidate"]) == (1, 0.0)
    assert measures["canaries"]["n"] == 1


def test_a_pinned_check_that_does_not_exist_stops_before_any_run(tmp_path, tiny_model_dir):
    home = make_home(tmp_path / "home", tiny_model_dir)
    configure(home, gate={"pinned": [{"text": "Hello!", "check": {"name": "no_such_check"}}]})
    with pytest.raises(InputError, match="no_such_check"):
        night(home)
    with Store.open(home.database) as store:
        assert store.runs.list() == []


def test_while_promotion_is_held_a_good_candidate_waits(tmp_path, tiny_model_dir):
    home = make_home(tmp_path / "home", tiny_model_dir, **LEARNS)
    talk(home, 6)
    with Store.open(home.database) as store:
        Registry(store, home).hold("I like it as it is")
    run = night(home)
    assert (run.status, serving(home)) == ("review", 0)
    assert "I like it as it is" in run.reason


def test_rollback_survives_the_next_nightly_run(learned):
    with Store.open(learned.database) as store:
        Registry(store, learned).rollback(why="too curt")
    night(learned)
    assert serving(learned) == 0


def test_with_one_conversation_the_gate_asks_general_prompts_and_says_so(tmp_path, tiny_model_dir):
    home = make_home(tmp_path / "home", tiny_model_dir)
    talk(home, 1, 4)
    with Store.open(home.database) as store:
        from align_agent.records import Rule

        store.rules.add(Rule("Talk like a pirate.", "active"))
    run = night(home)
    assert "on general prompts" in " ".join(run.verdict["reasons"])
    with Store.open(home.database) as store:
        assert {use for _, use, _ in store.runs.turns_of(run.id)} == {"train"}


def test_general_anchors_and_a_draft_join_a_night_that_wants_them(learned):
    configure(learned, distill={"anchors": 0.25, "rollouts": "both", "epochs": 1})
    run = night(learned)
    assert run.status in ("promoted", "rejected", "review")
    with Store.open(learned.database) as store:
        lineage = Registry(store, learned).lineage(2)
        # General prompts are nobody's turns.
        assert all(store.turns.get(turn_id) for turn_id in lineage)


def test_a_damaged_champion_does_not_stop_the_night(learned):
    target = learned.adapters / "v0001" / "adapter_model.safetensors"
    target.write_bytes(target.read_bytes()[:-1])
    run = night(learned)
    assert run.status in ("promoted", "rejected", "review")
    assert run.parent == 0


def test_old_versions_are_pruned_after_the_night(learned):
    configure(learned, adapters={"keep": 1}, distill={"learning_rate": 1e-8, "epochs": 1})
    night(learned)
    assert files.versions_in(learned.adapters) == [1]


def test_a_declared_rule_counts_at_once(learned):
    configure(learned, preferences={"rules": ["Talk like a pirate."]})
    night(learned)
    with Store.open(learned.database) as store:
        assert [rule.text for rule in store.rules.list(("declared",))] == ["Talk like a pirate."]


def test_a_limit_on_memory_without_room_for_any_turn_ends_the_night_as_skipped(
    tmp_path, tiny_model_dir
):
    home = make_home(tmp_path, tiny_model_dir, distill={"max_memory_gb": 1e-4})
    talk(home)
    run = night(home)
    assert run.status == "skipped"
    assert "distill.max_memory_gb" in run.reason


# Nights that fail


def test_a_base_that_is_not_there_fails_the_night_and_leaves_the_champion(learned):
    configure(learned, model={"base": "/nowhere/model"})
    run = night(learned)
    assert run.status == "failed"
    assert "/nowhere/model" in run.reason
    assert exit_code(run) == 1
    assert serving(learned) == 1
    with Store.open(learned.database) as store:
        assert store.counters.all()["nights_failed"] == 1
        assert store.runs.get(run.id).reason == run.reason


def test_a_training_that_diverges_fails_the_night(learned):
    # In half precision, steps of this size run over the largest number there is.
    configure(
        learned,
        model={"dtype": "float16"},
        distill={"learning_rate": 1.0, "lora_rank": 1, "lora_alpha": 4096},
    )
    run = night(learned)
    assert run.status == "failed"
    assert run.reason.startswith("train: ")
    assert serving(learned) == 1


FULL_DISK = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
from align_agent.night.__main__ import main
sys.exit(main(["--home", sys.argv[1]]))
"""


@pytest.mark.uncounted
def test_a_disk_that_fills_up_fails_the_night_and_leaves_the_champion(learned):
    # No file may grow beyond 1 MB: the database stays below, an adapter of rank 256 does not.
    configure(learned, distill={"lora_rank": 256, "epochs": 1})
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(learned.root)], capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    with Store.open(learned.database) as store:
        run = store.runs.latest()
    assert run.status == "failed"
    assert "disk is full" in run.reason
    assert serving(learned) == 1
    assert files.versions_in(learned.adapters) == [1]


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")]
)
def test_running_out_of_memory_is_told_with_a_way_out(error):
    assert "distill.batch_size" in explain(error)


def test_a_configuration_that_cannot_be_read_stops_before_any_run(learned):
    learned.config.write_text("distill: [", encoding="utf-8")
    with pytest.raises(ConfigError):
        night(learned)
    with Store.open(learned.database) as store:
        assert len(store.runs.list()) == 1


def test_a_configuration_error_is_told_with_its_hint_and_exit_code_2(learned):
    learned.config.write_text("distil:\n  epochs: 2\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "align_agent.night", "--home", str(learned.root)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "error: " in done.stderr and "hint: " in done.stderr
    assert "Traceback" not in done.stderr


# The gap detector

VAGUE = "And what would your grandmother do?"  # nothing that the reader could judge


def unjudged(home: Home, follow_up: str) -> None:
    with Store.open(home.database) as store:
        first, second = conversation(50, 2)
        from dataclasses import replace

        store.turns.add(first)
        store.turns.add(replace(second, user_text=follow_up))


def gap_feedback(home: Home):
    with Store.open(home.database) as store:
        return [f for f in store.feedback.list(-1) if f.kind == "gap"]


def test_a_follow_up_that_moves_the_model_is_a_correction(tmp_path, tiny_model_dir):
    home = make_home(tmp_path / "home", tiny_model_dir)
    unjudged(home, VAGUE)
    night(home)
    (found,) = gap_feedback(home)
    assert (found.turn_id, found.polarity, found.detector) == ("turn-50-0", "negative", "gap")
    assert found.text == VAGUE
    assert found.source_turn_id == "turn-50-1"
    assert 0.6 <= found.confidence <= 1.0


def test_a_follow_up_below_the_threshold_is_neutral(tmp_path, tiny_model_dir):
    home = make_home(tmp_path / "home", tiny_model_dir, feedback={"gap_threshold": 99.0})
    unjudged(home, VAGUE)
    night(home)
    assert [f.polarity for f in gap_feedback(home)] == ["neutral"]


def test_a_judge_whose_words_are_no_verdict_changes_nothing(tmp_path, tiny_model_dir):
    home = make_home(tmp_path / "home", tiny_model_dir, feedback={"judge": True})
    unjudged(home, VAGUE)
    night(home)
    (found,) = gap_feedback(home)
    assert (found.polarity, found.review) == ("negative", "")
    with Store.open(home.database) as store:
        assert [f.kind for f in store.feedback.for_turn("turn-50-0")] == ["gap"]


def test_a_turn_too_long_for_the_judge_does_not_end_the_night(tmp_path, tiny_model_dir):
    home = make_home(tmp_path / "home", tiny_model_dir, feedback={"judge": True})
    unjudged(home, f"And your grandmother? {'grandmother ' * 5000}")
    run = night(home)
    assert run.status == "skipped", run.reason
    (found,) = gap_feedback(home)
    assert found.evidence == "too long to be measured"


def test_a_follow_up_is_measured_once(tmp_path, tiny_model_dir):
    home = make_home(tmp_path / "home", tiny_model_dir, feedback={"gap_threshold": 99.0})
    unjudged(home, VAGUE)
    night(home)
    night(home)
    assert len(gap_feedback(home)) == 1


def test_a_follow_up_that_was_stored_unread_is_read_at_night(tmp_path, tiny_model_dir):
    home = make_home(tmp_path / "home", tiny_model_dir)
    unjudged(home, "No bold, please.")
    night(home)
    with Store.open(home.database) as store:
        (heard,) = store.feedback.for_turn("turn-50-0")
        (rule,) = store.rules.list()
    assert (heard.kind, heard.polarity) == ("follow_up", "negative")
    assert rule.text.startswith("Write plain text")


def test_what_a_reader_judged_is_not_measured(learned):
    assert gap_feedback(learned) == []


def test_a_conversation_far_beyond_the_context_ends_in_order(tmp_path, tiny_model_dir):
    home = make_home(tmp_path / "home", tiny_model_dir)
    talk(home, 3, 2)
    with Store.open(home.database) as store:
        from align_agent.records import Feedback, Message, Turn

        huge = Turn(
            "huge",
            (Message("user", "word " * 20_000),),
            (Message("assistant", BAD * 3_000),),
            "word",
            BAD,
            id="turn-huge",
        )
        store.turns.add(huge)
        store.feedback.add(Feedback("turn-huge", "follow_up", "negative", "format", 0.9, "no", "t"))
    run = night(home)
    assert run.status in ("promoted", "rejected", "review")
    with Store.open(home.database) as store:
        uses = {i: (use, reason) for i, use, reason in store.runs.turns_of(run.id)}
    assert uses["turn-huge"][0] in ("skip", "heldout")


def test_a_night_on_the_default_model_ends_in_an_orderly_verdict(tmp_path, model_dir):
    home = make_home(tmp_path / "home", model_dir)
    talk(home, 3, 2, rule=True)
    run = night(home)
    assert run.status in ("promoted", "review", "rejected", "skipped")
    assert run.reason
