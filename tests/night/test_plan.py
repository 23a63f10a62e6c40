import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
from folders import light_folder
from hypothesis import given, settings
from hypothesis import strategies as st
from nights import BAD, COMPLAINT, configure, conversation, make_home, talk

from align_agent.config import Config, load_config
from align_agent.gate.probes import general_probes
from align_agent.night.plan import Wishes, artefact_of, choose, plan, restore, same_lessons
from align_agent.paths import Home
from align_agent.records import Feedback, Rule
from align_agent.store import Store


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return make_home(tmp_path / "home", Path("pocket"), distill={"min_turns": 2})


@pytest.fixture
def opened(home: Home) -> Iterator[tuple[Store, Config, Wishes]]:
    """The store, configuration and wishes of a home with corrected turns."""
    talk(home, 4)
    with Store.open(home.database) as store:
        config = load_config(home.config)
        yield store, config, Wishes(store, config)


def plain_rule(home: Home) -> None:
    with Store.open(home.database) as store:
        check = {"name": "no_markdown"}
        store.rules.add(Rule("Write plain text.", "active", check=check))


def test_an_empty_home_has_nothing_to_learn(home):
    found = plan(home)
    assert not found.ready
    assert found.reason.startswith("nothing to learn")
    assert found.turns == []


def test_corrected_turns_are_to_be_learned_from(home):
    talk(home, 4)
    found = plan(home)
    assert found.ready
    assert found.train + found.heldout == 12
    reasons = {turn.reason for turn in found.turns if turn.use == "train"}
    assert reasons == {"the user corrected it"}


def test_a_turn_that_breaks_a_rule_is_to_be_learned_from_without_any_complaint(home):
    plain_rule(home)
    with Store.open(home.database) as store:
        for number in range(4):
            for turn in conversation(number):
                store.turns.add(turn)
    reasons = {turn.reason for turn in plan(home).turns if turn.use == "train"}
    assert reasons == {"it breaks a rule of the user"}


def test_a_turn_that_keeps_the_rule_is_an_anchor(home):
    configure(home, distill={"anchors": 0.5})
    plain_rule(home)
    talk(home, 4)
    with Store.open(home.database) as store:
        for turn in conversation(30, 2, answer="It is 5."):
            store.turns.add(turn)
    uses = {turn.turn_id: turn.use for turn in plan(home).turns}
    assert {uses["turn-30-0"], uses["turn-30-1"]} <= {"anchor", "heldout"}


def test_every_skipped_turn_has_a_reason(home):
    talk(home, 4)
    with Store.open(home.database) as store:
        store.turns.exclude("turn-0-0")
    skipped = [turn for turn in plan(home).turns if turn.use == "skip"]
    assert [(turn.turn_id, turn.reason) for turn in skipped] == [
        ("turn-0-0", "excluded by the user")
    ]
    assert plan(home).skipped == {"excluded by the user": 1}


def test_with_two_conversations_nothing_is_held_out(home):
    talk(home, 2)
    found = plan(home)
    assert (found.train, found.heldout) == (6, 0)


def test_with_three_conversations_one_is_held_out(home):
    talk(home, 3)
    found = plan(home)
    assert (found.train, found.heldout) == (6, 3)


def test_holding_out_never_takes_the_only_lessons(home):
    with Store.open(home.database) as store:
        for number in range(6):
            for turn in conversation(number, 2):
                store.turns.add(turn)
        for place in range(2):
            store.feedback.add(
                Feedback(f"turn-3-{place}", "follow_up", "negative", "format", 0.9, COMPLAINT, "t")
            )
    # Whichever conversation the hash holds out, both corrected turns are learned from.
    found = plan(home)
    assert found.train == 2


def test_planning_loads_no_heavy_package(home):
    talk(home, 3)
    code = (
        "import sys\nfrom pathlib import Path\nfrom align_agent.night.plan import plan\n"
        "from align_agent.paths import Home\n"
        f"plan(Home(Path({str(home.root)!r})))\n"
        "print([m for m in ('torch', 'transformers', 'sqlite_utils') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_plan_is_fit_for_json(home):
    import json

    talk(home, 3)
    assert json.loads(json.dumps(asdict(plan(home))))["train"] == 6


def test_a_rule_with_a_scope_counts_only_where_it_applies(home):
    talk(home, 3)
    with Store.open(home.database) as store:
        store.rules.add(Rule("Use metric units.", "active", scope="channel:import"))
        wishes = Wishes(store, load_config(home.config))
        assert wishes.for_turn(store.turns.get("turn-0-0")) == []
        assert wishes.general() == []


def test_an_answer_without_words_breaks_no_rule(home):
    plain_rule(home)
    with Store.open(home.database) as store:
        for turn in conversation(0, 1, answer=""):
            store.turns.add(turn)
        wishes = Wishes(store, load_config(home.config))
        assert not wishes.violates(store.turns.get("turn-0-0"))


def test_a_selection_comes_back_from_its_artefact(opened):
    chosen = choose(*opened)
    kept = artefact_of(chosen)
    again = restore(opened[0], kept)
    assert (again.train, again.heldout, again.anchors) == (
        chosen.train,
        chosen.heldout,
        chosen.anchors,
    )
    assert same_lessons(chosen, kept)


def test_more_turns_leave_an_interrupted_nights_lessons_valid(home, opened):
    kept = artefact_of(choose(*opened))
    talk(home, 2, first=10)
    assert same_lessons(choose(*opened), kept)


def test_a_dismissed_complaint_makes_an_interrupted_nights_lessons_stale(opened):
    chosen = choose(*opened)
    kept = artefact_of(chosen)
    store = opened[0]
    first = store.feedback.for_turn(chosen.train[0].turn.id)[0]
    store.feedback.dismiss(first.id)
    assert not same_lessons(choose(*opened), kept)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.booleans(), st.booleans()), max_size=7),
    st.sampled_from([0.1, 0.3, 0.6]),
)
def test_every_turn_is_planned_once_and_no_conversation_is_on_both_sides(talks, share):
    with light_folder() as folder:
        home = make_home(Path(folder), Path("pocket"), distill={"heldout_share": share})
        with Store.open(home.database) as store:
            for number, (turns, corrected, good) in enumerate(talks):
                for turn in conversation(number, turns, answer="Five." if good else BAD):
                    store.turns.add(turn)
                    if corrected:
                        store.feedback.add(
                            Feedback(turn.id, "follow_up", "negative", "x", 0.9, COMPLAINT, "t")
                        )
        found = plan(home)
        assert len({turn.turn_id for turn in found.turns}) == len(found.turns)
        assert len(found.turns) == sum(turns for turns, _, _ in talks)
        sides: dict[str, set[str]] = {}
        for turn in found.turns:
            if turn.use in ("train", "heldout"):
                sides.setdefault(turn.turn_id.rsplit("-", 1)[0], set()).add(turn.use)
        assert all(len(uses) == 1 for uses in sides.values())


@pytest.mark.parametrize("base", ["pocket", "some-other-model"])
def test_general_prompts_that_are_examined_are_never_trained_on(home, base):
    from types import SimpleNamespace

    from align_agent.night.everyday import STAND_INS, general_prompts

    config = SimpleNamespace(model=SimpleNamespace(base=base))
    trained = general_prompts(config, 200, seed=3)
    examined = general_prompts(config, STAND_INS, seed=3, examined=True)
    assert len(trained) >= 40 and len(examined) >= 10
    assert not set(trained) & set(examined)


def test_general_prompts_are_never_ability_probes():
    # What is trained on must not be what the gate measures ability with.
    text = (Path(__file__).parents[2] / "align_agent/night/general_prompts.txt").read_text()
    prompts = [line for line in text.splitlines() if line.strip()]
    assert len(prompts) == len(set(prompts)) >= 60
    assert not set(prompts) & {probe.prompt[0].content for probe in general_probes()}
