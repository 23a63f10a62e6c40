"""Nights after the first: what they start from, what they see again, what they unlearn."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from nights import BAD, COMPLAINT, LEARNS, configure, conversation, make_home, talk
from safetensors.numpy import load_file

from align_agent.adapters.registry import Registry
from align_agent.adapters.timeline import RULES
from align_agent.config import Config, load_config
from align_agent.distill.select import TOO_MANY
from align_agent.feedback.lexical import Reading
from align_agent.feedback.profile import Profile
from align_agent.night import continual, plan
from align_agent.night.progress import Silent
from align_agent.night.run import run_night
from align_agent.paths import Home
from align_agent.records import Feedback, Rule, Run
from align_agent.store import Store
from align_agent.store.scrub import scrub

SMALL = {"max_turns": 6, "replay": 0.5, "heldout_share": 0.3}


def night(home: Home) -> Run:
    return run_night(home, progress=Silent())


def learned_turns(home: Home, version: int) -> set[str]:
    with Store.open(home.database) as store:
        return set(Registry(store, home).lineage(version))


def tonight(home: Home):
    config = load_config(home.config)
    with Store.open(home.database) as store:
        wishes = plan.Wishes(store, config)
        return plan.tonight(store, config, wishes, plan.serving(store))


def say(store: Store, turn_id: str, source: str, direction: str, text: str, at: str) -> None:
    """A complaint as the reader stores it: feedback, and the rule that follows from it."""
    feedback = Feedback(
        turn_id, "follow_up", "negative", "format", 0.9, text, "test", created_at=at,
        source_turn_id=source,
    )  # fmt: skip
    store.feedback.add(feedback)
    reading = Reading("negative", "format", 0.9, 1.0, direction=direction)
    Profile(store, Config()).learn(feedback, reading)


# From which weights


def test_while_all_fits_into_one_night_it_starts_from_the_base(learned):
    talk(learned, 1, first=20)
    _, start = tonight(learned)
    assert start.version == 0


def test_with_more_turns_than_fit_a_night_goes_on_from_the_champion(learned):
    configure(learned, distill=SMALL)
    talk(learned, 4, first=20)
    chosen, start = tonight(learned)
    assert start.version == 1
    assert any(reason == TOO_MANY for _, reason in chosen.skipped)


def test_what_the_champion_learned_is_part_of_the_new_versions_lineage(learned):
    configure(learned, distill=SMALL)
    talk(learned, 4, first=20)
    before = learned_turns(learned, 1)
    run = night(learned)
    assert run.config[continual.START] == 1
    after = learned_turns(learned, run.candidate)
    assert before < after
    assert len(after - before) >= 3


def test_forgetting_a_turn_of_the_champions_taints_the_version_that_went_on_from_it(learned):
    configure(learned, distill=SMALL)
    talk(learned, 4, first=20)
    run = night(learned)
    with Store.open(learned.database) as store:
        uses = {i: why for i, _, why in store.runs.turns_of(run.id)}
        old = next(i for i in learned_turns(learned, 1) if "goes on from there" in uses[i])
        with store.transaction():
            scrub(store.turns.connection, [old])
        assert store.adapters.get(run.candidate).tainted


def test_going_on_begins_at_the_champions_weights(learned):
    configure(learned, distill={**SMALL, "learning_rate": 1e-8, "epochs": 1})
    talk(learned, 4, first=20)
    run = night(learned)
    one, two = weights_of(learned, 1), weights_of(learned, run.candidate)
    moved = max(float(abs(one[key] - two[key]).max()) for key in one)
    assert 0 < moved < 1e-5


def test_new_turns_come_first_and_old_ones_fill_their_share(learned):
    configure(learned, distill={**SMALL, "max_turns": 10})
    talk(learned, 8, first=20)
    old = learned_turns(learned, 1)
    chosen, start = tonight(learned)
    again = [c for c in chosen.train if c.turn.id in old]
    assert start.version == 1
    assert (len(again), len(chosen.train)) == (5, 10)


def test_of_the_new_turns_the_latest_are_learned_tonight(learned):
    configure(learned, distill={**SMALL, "max_turns": 4})
    talk(learned, 8, first=20)
    old = learned_turns(learned, 1)
    chosen, _ = tonight(learned)
    new = [c.turn.id for c in chosen.train if c.turn.id not in old]
    with Store.open(learned.database) as store:
        held = {c.turn.id for c in chosen.heldout}
        later = [t.id for t in store.turns.all_main() if t.id not in held and t.id not in old]
    assert new == [i for i in later if i not in held][-len(new) :]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"start": "base"}, ""),
        ({"lora_rank": 4}, "another shape"),
        ({"rebuild_after": 0}, "in a row"),
        ({"heldout_share": 0.9, "start": "champion"}, "kept aside"),
    ],
)
def test_a_night_must_not_go_on_from_the_champion(learned, settings, why):
    configure(learned, distill={**SMALL, **settings})
    talk(learned, 4, first=20)
    _, start = tonight(learned)
    assert start.version == 0
    assert why in start.why


def test_an_excluded_turn_is_unlearned_by_starting_from_the_base(learned):
    configure(learned, distill=SMALL)
    talk(learned, 4, first=20)
    with Store.open(learned.database) as store:
        store.turns.exclude(sorted(learned_turns(learned, 1))[0])
    _, start = tonight(learned)
    assert (start.version, "excluded" in start.why) == (0, True)


def test_after_a_night_that_ran_out_of_time_the_next_goes_on_from_it(learned):
    with Store.open(learned.database) as store:
        run = store.runs.latest()
        store.runs.update(run.id, config={**run.config, continual.OUT_OF_TIME: True})
    talk(learned, 1, first=20)
    assert tonight(learned)[1].version == 1


def test_the_plan_says_from_what_the_night_would_start(learned):
    configure(learned, distill=SMALL)
    talk(learned, 4, first=20)
    assert plan.plan(learned).start.startswith("v1")


# The champion changes meanwhile


class During(Silent):
    """Does something once, as the night enters a phase."""

    def __init__(self, phase: str, do: Callable[[], object]) -> None:
        self._phase, self._do = phase, do

    def phase(self, name: str, total: int | None = None) -> None:
        if name == self._phase:
            self._phase = ""
            self._do()


def weights_of(home: Home, version: int):
    return load_file(home.adapters / f"v{version:04d}" / "adapter_model.safetensors")


def test_a_night_keeps_its_parent_though_that_is_rolled_back_meanwhile(learned):
    configure(learned, distill={**SMALL, "learning_rate": 1e-8, "epochs": 1})
    talk(learned, 4, first=20)

    def roll_back() -> None:
        with Store.open(learned.database) as store:
            Registry(store, learned).rollback(why="it rhymes")

    run = run_night(learned, progress=During("rollouts", roll_back))
    with Store.open(learned.database) as store:
        assert (run.parent, store.adapters.get(run.candidate).parent) == (1, 1)
        assert Registry(store, learned).champion() == 0
    # Its lessons were chosen to go on from v1: it must have begun there all the same.
    one, two = weights_of(learned, 1), weights_of(learned, run.candidate)
    assert 0 < max(float(abs(one[key] - two[key]).max()) for key in one) < 1e-5


def test_what_passed_beside_another_champion_than_serves_now_waits_for_the_user(
    tmp_path, tiny_model_dir
):
    home = make_home(tmp_path / "home", tiny_model_dir, **LEARNS)
    talk(home, 6)

    def promote_another() -> None:
        with Store.open(home.database) as store:
            registry, run = Registry(store, home), store.runs.latest()
            made = home.runs / run.id / "adapter"
            taken = registry.take_in(made, base=run.base, base_hash="", why="from elsewhere")
            registry.promote(taken.version, why="I like it")

    run = run_night(home, progress=During("register", promote_another))
    assert (run.status, run.parent, run.candidate) == ("review", 0, 2), run.reason
    assert "v1 serves since" in run.reason
    with Store.open(home.database) as store:
        assert Registry(store, home).champion() == 1


def test_a_champion_whose_files_are_damaged_is_not_gone_on_from(learned):
    configure(learned, distill=SMALL)
    talk(learned, 4, first=20)
    (learned.adapters / "v0001" / "adapter_model.safetensors").write_bytes(b"")
    assert tonight(learned)[1].version == 1
    run = night(learned)
    assert run.config[continual.START] == 0
    assert run.candidate == 2


def test_without_replay_a_night_that_goes_on_sees_new_turns_alone(learned):
    configure(learned, distill={**SMALL, "max_turns": 10, "replay": 0})
    talk(learned, 8, first=20)
    old = learned_turns(learned, 1)
    chosen, start = tonight(learned)
    assert start.version == 1
    assert chosen.train
    assert not old & {c.turn.id for c in chosen.train}


# What is not wanted any more


def test_a_night_over_a_retired_rule_starts_from_the_base(learned):
    configure(learned, distill=SMALL)
    talk(learned, 4, first=20)
    with Store.open(learned.database) as store:
        run = store.runs.latest()
        store.runs.update(run.id, config={**run.config, RULES: ["Rhyme."]})
    _, start = tonight(learned)
    assert (start.version, "Rhyme." in start.why) == (0, True)


def test_when_the_only_wish_is_retired_the_base_answers_again(learned):
    with Store.open(learned.database) as store:
        run = store.runs.latest()
        store.runs.update(run.id, config={**run.config, RULES: ["Rhyme."]})
        for turn in list(store.turns.all_main()):
            store.turns.exclude(turn.id)
    run = night(learned)
    assert run.status == "skipped"
    assert "Rhyme." in run.reason
    with Store.open(learned.database) as store:
        assert Registry(store, learned).champion() == 0


def test_while_a_wish_is_in_force_nothing_to_learn_leaves_the_champion_alone(learned):
    with Store.open(learned.database) as store:
        store.rules.add(Rule("Rhyme.", "active"))
        run = store.runs.latest()
        store.runs.update(run.id, config={**run.config, RULES: ["Rhyme."]})
        for turn in list(store.turns.all_main()):
            store.turns.exclude(turn.id)
    assert night(learned).status == "skipped"
    with Store.open(learned.database) as store:
        assert Registry(store, learned).champion() == 1


@pytest.mark.parametrize(
    ("learned_rules", "force", "gone"),
    [
        (["Use emoji."], [], ["Use emoji."]),
        (["Use emoji."], [Rule("Use emoji.", "active", "emoji:some")], []),
        (["Use emoji."], [Rule("Emoji, please!", "active", "emoji:some")], []),
        (["Use emoji."], [Rule("No emoji.", "active", "emoji:none")], []),
        (["Rhyme."], [Rule("No emoji.", "active", "emoji:none")], ["Rhyme."]),
    ],
)
def test_what_ended_without_a_successor_is_retired(learned_rules, force, gone):
    assert continual.retired(learned_rules, force) == gone


# Preferences that flip


@pytest.fixture
def flipped(tmp_path, tiny_model_dir) -> Home:
    """Two conversations that asked for plain text, then two that asked for lists."""
    home = make_home(tmp_path / "home", tiny_model_dir, distill={"heldout_share": 0.01})
    with Store.open(home.database) as store:
        for number in range(4):
            for turn in conversation(number, 3, answer=BAD if number < 2 else "It is 42."):
                store.turns.add(turn)
            plain = number < 2
            for place in range(2):
                say(
                    store,
                    f"turn-{number}-{place}",
                    f"turn-{number}-{place + 1}",
                    "format:plain" if plain else "format:markdown",
                    COMPLAINT if plain else "Use lists and bold.",
                    f"2026-01-0{number + 1}T00:00:0{place}.000000+00:00",
                )
    return home


def test_after_a_flip_the_old_complaints_teach_nothing(flipped):
    chosen, _ = tonight(flipped)
    words = {c.shown.follow_up for c in (*chosen.train, *chosen.heldout)}
    assert words - {""} == {"Use lists and bold."}


def test_after_a_flip_an_answer_that_was_complained_of_is_fine_again(flipped):
    configure(flipped, distill={"anchors": 0.5})
    chosen, _ = tonight(flipped)
    fine = {c.turn.id for c in (*chosen.anchors, *chosen.heldout)}
    assert {"turn-0-0", "turn-0-1", "turn-1-0", "turn-1-1"} & fine


def test_after_flipping_back_the_first_complaints_count_again(flipped):
    with Store.open(flipped.database) as store:
        rule = next(r for r in store.rules.list() if r.direction == "format:plain")
        assert rule.status == "retired"
        Profile(store, load_config(flipped.config)).accept(rule.id)
    chosen, _ = tonight(flipped)
    words = {c.shown.follow_up for c in (*chosen.train, *chosen.heldout)}
    assert COMPLAINT in words
    assert "Use lists and bold." not in words


def test_a_rule_that_the_user_retired_takes_its_complaints_along(flipped):
    with Store.open(flipped.database) as store:
        rule = next(r for r in store.rules.list() if r.direction == "format:markdown")
        Profile(store, load_config(flipped.config)).retire(rule.id)
    chosen, _ = tonight(flipped)
    assert [c for c in chosen.train if c.shown.follow_up] == []


def test_a_night_after_a_flip_trains_on_the_new_wish_alone(flipped):
    run = night(flipped)
    with Store.open(flipped.database) as store:
        uses = {i: use for i, use, _ in store.runs.turns_of(run.id)}
    assert run.config[RULES] == ["Use markdown: lists and bold."]
    assert {i for i, use in uses.items() if use == "train"} <= {
        f"turn-{n}-{p}" for n in (2, 3) for p in range(3)
    }
