"""Feedback, rules, runs, adapters, events, counters and state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from align_agent.errors import NotFound, StoreError
from align_agent.records import Adapter, Feedback, Rule, Run


@pytest.fixture
def turns(store, make_turn):
    for name in ("a", "b"):
        store.turns.add(make_turn(id=f"turn-{name}"))
    return store.turns


def say(**changes) -> Feedback:
    fields = {
        "turn_id": "turn-a",
        "kind": "follow_up",
        "polarity": "negative",
        "category": "too_long",
        "confidence": 0.9,
        "text": "too long",
        "detector": "reader",
    }
    return Feedback(**{**fields, **changes})


def test_feedback_comes_back_as_it_was_stored(store, turns):
    feedback = say(source_turn_id="turn-b", evidence="long", strength=0.5)
    assert store.feedback.add(feedback)
    assert store.feedback.get(feedback.id) == feedback
    assert store.feedback.get(feedback.id[3:9]) == feedback


def test_the_same_feedback_is_stored_once(store, turns):
    feedback = say()
    assert [store.feedback.add(feedback), store.feedback.add(feedback)] == [True, False]


@pytest.mark.parametrize("field", ["turn_id", "source_turn_id"])
def test_feedback_on_an_unknown_turn_is_refused(store, turns, field):
    with pytest.raises(NotFound) as caught:
        store.feedback.add(say(**{field: "turn-x"}))
    assert caught.value.hint


def test_feedback_is_listed_by_turn_and_by_polarity(store, turns):
    store.feedback.add(say(id="fb-1", created_at="2026-01-01"))
    store.feedback.add(say(id="fb-2", created_at="2026-01-02", polarity="positive"))
    store.feedback.add(say(id="fb-3", created_at="2026-01-03", turn_id="turn-b"))
    assert [f.id for f in store.feedback.for_turn("turn-a")] == ["fb-1", "fb-2"]
    assert [f.id for f in store.feedback.list(10)] == ["fb-3", "fb-2", "fb-1"]
    assert [f.id for f in store.feedback.list(1)] == ["fb-3"]
    assert [f.id for f in store.feedback.list(10, "negative")] == ["fb-3", "fb-1"]


def test_dismissed_feedback_is_kept_but_not_counted(store, turns):
    store.feedback.add(say(id="fb-1"))
    store.feedback.add(say(id="fb-2", polarity="positive"))
    assert store.feedback.dismiss("fb-1").dismissed
    assert store.feedback.get("fb-1").dismissed
    assert store.feedback.count() == {"positive": 1}


def test_a_rule_comes_back_as_it_was_stored(store):
    rule = Rule("No emoji.", "active", "emoji:none", {"name": "no_emoji", "n": 1}, count=3)
    store.rules.add(rule)
    assert store.rules.get(rule.id) == rule
    assert store.rules.list() == [rule]


def test_a_rule_is_not_stored_twice(store):
    rule = Rule("No emoji.", "active")
    store.rules.add(rule)
    with pytest.raises(StoreError, match="already"):
        store.rules.add(rule)


def test_rules_are_listed_by_status_the_oldest_first(store):
    for number, status in enumerate(("active", "retired", "proposed", "active")):
        store.rules.add(Rule(f"rule {number}", status, id=f"rule-{number}"))
    assert [r.id for r in store.rules.list(["active"])] == ["rule-0", "rule-3"]
    assert [r.id for r in store.rules.list(("proposed", "retired"))] == ["rule-1", "rule-2"]
    assert len(store.rules.list()) == 4


def test_a_rule_is_changed_in_the_fields_that_are_named(store):
    rule = Rule("Be brief.", "proposed")
    store.rules.add(rule)
    changed = store.rules.update(rule.id, status="active", count=2)
    assert changed == replace(rule, status="active", count=2) == store.rules.get(rule.id)
    with pytest.raises(TypeError):
        store.rules.update(rule.id, colour="red")
    with pytest.raises(NotFound):
        store.rules.update("rule-x", count=1)


def test_the_turns_behind_a_rule_are_kept_in_order_and_once(store, turns):
    rule = Rule("Be brief.", "active")
    store.rules.add(rule)
    for turn in ("turn-b", "turn-a", "turn-b"):
        store.rules.link(rule.id, turn)
    assert store.rules.turns_of(rule.id) == ["turn-b", "turn-a"]


def test_a_link_to_nothing_is_refused(store, turns):
    store.rules.add(Rule("Be brief.", "active", id="rule-1"))
    for rule, turn in (("rule-x", "turn-a"), ("rule-1", "turn-x")):
        with pytest.raises(NotFound):
            store.rules.link(rule, turn)


def test_a_run_comes_back_as_it_was_stored(store):
    run = Run("run-1", "running", phase="select", config={"a": [1, 2]}, verdict={"b": None})
    store.runs.create(run)
    assert store.runs.get("run-1") == run == store.runs.latest()
    with pytest.raises(StoreError, match="already"):
        store.runs.create(run)


def test_a_run_is_changed_in_the_fields_that_are_named(store):
    store.runs.create(Run("run-1", "running"))
    store.runs.update("run-1", status="promoted", candidate=4, verdict={"gain": 0.5})
    run = store.runs.get("1")
    assert (run.status, run.candidate, run.verdict) == ("promoted", 4, {"gain": 0.5})


def test_runs_are_listed_with_the_newest_first(store):
    assert store.runs.latest() is None
    for day in (1, 3, 2):
        store.runs.create(Run(f"run-{day}", "skipped", started_at=f"2026-01-0{day}"))
    assert [run.id for run in store.runs.list()] == ["run-3", "run-2", "run-1"]
    assert [run.id for run in store.runs.list(limit=1)] == ["run-3"]


def test_what_a_run_did_with_turns_is_kept_and_replaced(store, turns):
    store.runs.create(Run("run-1", "running"))
    store.runs.add_turns("run-1", [("turn-b", "skip", "empty"), ("turn-a", "train", "")])
    store.runs.add_turns("run-1", [("turn-b", "anchor", "no complaint")])
    assert store.runs.turns_of("run-1") == [
        ("turn-a", "train", ""),
        ("turn-b", "anchor", "no complaint"),
    ]


def test_turns_of_a_run_are_noted_all_or_none(store, turns):
    store.runs.create(Run("run-1", "running"))
    with pytest.raises(NotFound):
        store.runs.add_turns("run-1", [("turn-a", "train", ""), ("turn-x", "train", "")])
    assert store.runs.turns_of("run-1") == []


@pytest.mark.parametrize(
    "note",
    [
        lambda runs: runs.add_turns("run-x", [("turn-a", "train", "")]),
        lambda runs: runs.add_metric("run-x", 0, loss=1.0),
        lambda runs: runs.add_sample("run-x", "p", "b", "c", "d"),
        lambda runs: runs.update("run-x", phase="train"),
    ],
)
def test_nothing_is_noted_for_a_run_that_is_not_there(store, turns, note):
    with pytest.raises(NotFound):
        note(store.runs)


def test_metrics_come_back_by_step(store):
    store.runs.create(Run("run-1", "running"))
    store.runs.add_metric("run-1", 1, loss=0.5, norm=2)
    store.runs.add_metric("run-1", 0, loss=1.0)
    store.runs.add_metric("run-1", 0, loss=0.9)
    assert store.runs.metrics("run-1") == [
        {"step": 0, "loss": 0.9},
        {"step": 1, "loss": 0.5, "norm": 2.0},
    ]


def test_a_metric_that_is_not_a_number_comes_back_as_none(store):
    store.runs.create(Run("run-1", "running"))
    store.runs.add_metric("run-1", 0, loss=float("nan"), norm=float("inf"))
    assert store.runs.metrics("run-1") == [{"step": 0, "loss": None, "norm": None}]


def test_a_sample_of_the_same_prompt_replaces_the_one_before(store):
    store.runs.create(Run("run-1", "running"))
    store.runs.add_sample("run-1", "p", "base", "before", "after")
    store.runs.add_sample("run-1", "q", "base", "before", "after")
    store.runs.add_sample("run-1", "p", "base", "before", "better", note="again")
    assert [(s["prompt"], s["after"], s["note"]) for s in store.runs.samples("run-1")] == [
        ("q", "after", ""),
        ("p", "better", "again"),
    ]


def make_adapter(version: int, **changes) -> Adapter:
    return Adapter(version, "pocket", "hash", "", "promote", **changes)


def test_an_adapter_comes_back_as_it_was_stored(store):
    store.runs.create(Run("run-1", "promoted"))
    adapter = replace(
        make_adapter(1, parent=0, rank=16, size_bytes=99, reasons=("gained", "kept")),
        run_id="run-1",
    )
    store.adapters.add(adapter)
    assert store.adapters.get(1) == adapter


def test_an_adapter_of_an_unknown_run_is_refused(store):
    with pytest.raises(NotFound, match="run-x"):
        store.adapters.add(replace(make_adapter(1), run_id="run-x"))


@pytest.mark.parametrize("version", [0, -1])
def test_the_base_is_no_adapter(store, version):
    with pytest.raises(StoreError):
        store.adapters.add(make_adapter(version))


def test_a_version_is_given_out_once_even_after_deletion(store):
    assert store.adapters.next_version() == 1
    store.adapters.add(make_adapter(1))
    store.adapters.update(1, deleted=True)
    assert store.adapters.next_version() == 2
    with pytest.raises(StoreError, match="already"):
        store.adapters.add(make_adapter(1))


def test_adapters_are_listed_with_the_newest_first(store):
    for version in (1, 3, 2):
        store.adapters.add(make_adapter(version))
    assert [adapter.version for adapter in store.adapters.list()] == [3, 2, 1]


def test_an_unknown_adapter_is_not_found(store):
    for ask in (store.adapters.get, lambda v: store.adapters.update(v, pinned=True)):
        with pytest.raises(NotFound, match="v7"):
            ask(7)


def test_a_name_moves_and_its_history_tells_how(store):
    store.adapters.add(make_adapter(1))
    assert store.adapters.alias("champion") is None
    store.adapters.set_alias("champion", 0, why="first start", who="user")
    store.adapters.set_alias("champion", 1, why="gained", who="night")
    assert store.adapters.alias("champion") == 1
    store.adapters.set_alias("champion", None, why="gone", who="user")
    assert store.adapters.alias("champion") is None
    moves = [(m["before"], m["after"], m["who"]) for m in store.adapters.history(10)]
    assert moves == [(1, None, "user"), (0, 1, "night"), (None, 0, "user")]
    assert len(store.adapters.history(1)) == 1


def test_a_name_never_points_at_a_version_that_is_not_there(store):
    with pytest.raises(NotFound):
        store.adapters.set_alias("champion", 5, why="", who="user")
    assert store.adapters.alias("champion") is None
    assert store.adapters.history() == []


def test_two_names_move_together_or_not_at_all(store):
    store.adapters.set_alias("champion", 0, why="first", who="user")
    with pytest.raises(NotFound), store.transaction():
        store.adapters.set_alias("champion", None, why="", who="user")
        store.adapters.set_alias("previous", 9, why="", who="user")
    assert store.adapters.alias("champion") == 0
    assert len(store.adapters.history()) == 1


def test_events_come_back_with_their_data(store):
    store.events.add("night", "began", run="run-1", turns=[1, 2])
    store.events.add("serve", "swapped")
    assert [event["message"] for event in store.events.list()] == ["swapped", "began"]
    assert store.events.list(kind="night")[0]["data"] == {"run": "run-1", "turns": [1, 2]}
    assert len(store.events.list(limit=1)) == 1


def test_counters_add_up(store):
    store.counters.bump("dropped")
    store.counters.bump("dropped", 4)
    store.counters.bump("failed")
    assert store.counters.all() == {"dropped": 5, "failed": 1}


def test_state_remembers_the_last_text(store):
    assert store.state.get("held", "no") == "no"
    store.state.set("held", "after a rollback")
    store.state.set("held", "")
    assert store.state.get("held", "no") == ""
