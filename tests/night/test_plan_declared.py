"""Declared rules that stand in the prompts by day are learned as if they did not stand there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from nights import conversation, make_home

from align_agent.config import Config, load_config
from align_agent.feedback.profile import Profile
from align_agent.gate.scores import Sheet
from align_agent.night import plan
from align_agent.night.exam import spared
from align_agent.paths import Home
from align_agent.prompts import with_rules
from align_agent.records import Message, Rule
from align_agent.store import Store

RULE = "Write plain text: no bold, no lists, no headings."


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Answers that obey a declared rule, because it stood in their prompts; no complaint."""
    made = make_home(
        tmp_path / "home", tmp_path, preferences={"formatting": "plain"}, distill={"min_turns": 1}
    )
    with Store.open(made.database) as store:
        for number in range(4):
            for turn in conversation(number, 1, answer="It is 42."):
                head = (Message("system", "You help with homework."), *turn.prompt)
                told = with_rules(head, [RULE])
                store.turns.add(
                    type(turn)(
                        turn.conversation_id,
                        told,
                        turn.response,
                        turn.user_text,
                        turn.answer,
                        id=turn.id,
                    )
                )
    return made


def chosen(home: Home) -> tuple[Config, plan.Wishes, Store, object]:
    config = load_config(home.config)
    store = Store.open(home.database)
    Profile(store, config).sync_declared(config.preferences)
    wishes = plan.Wishes(store, config)
    return config, wishes, store, plan.choose(store, config, wishes)


def test_an_answer_under_a_declared_rule_is_a_lesson_for_it(home: Home) -> None:
    _, wishes, store, selection = chosen(home)
    with store:
        uses = plan.uses_of(selection, wishes)
    assert {use for _, use, _ in uses} == {"train", "heldout"}
    assert {why for _, use, why in uses if use == "train"} == {plan.TOLD}


def test_the_prompts_of_the_lessons_do_not_hold_the_rules(home: Home) -> None:
    _, _, store, selection = chosen(home)
    with store:
        restored = plan.restore(store, plan.artefact_of(selection))
    assert restored.train
    for candidate in restored.train:
        assert candidate.turn.prompt[0] == Message("system", "You help with homework.")


def test_a_rule_that_is_no_longer_declared_makes_no_lessons(home: Home) -> None:
    home.config.write_text(home.config.read_text().replace("formatting: plain", "length: brief"))
    _, _, store, selection = chosen(home)
    with store:
        assert selection.train == []


@pytest.mark.parametrize(("met", "says"), [(10, "need not stand"), (7, "still needed")])
def test_the_gate_says_whether_the_prompt_still_needs_the_rules(
    tiny_model, met: int, says: str
) -> None:
    rules = [Rule(RULE, "declared"), Rule("No emoji.", "active")]
    night = SimpleNamespace(
        wishes=SimpleNamespace(general=lambda: rules), config=Config(), model=lambda: tiny_model
    )
    candidate = Sheet("candidate", checks=10, checks_met=met)
    memory = Sheet("base with your rules", checks=10, checks_met=10)
    (told,) = spared(night, candidate, memory)
    assert says in told
    if met == 10:
        bare, full = ([Message("user", "Hi")], with_rules([Message("user", "Hi")], [RULE]))
        saved = len(tiny_model.encode(full)) - len(tiny_model.encode(bare))
        assert f"saves {saved} tokens a request" in told
