"""Whose words count, and how many rules may change in a day."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from align_agent.config import Config, FeedbackConfig
from align_agent.directions import DIRECTIONS
from align_agent.feedback.guard import held_back
from align_agent.feedback.owner import is_owner, is_stranger, note_speaker, retract
from align_agent.feedback.signals import observe
from align_agent.records import Message, Rule, Turn
from align_agent.store import Store


@pytest.fixture
def store(tmp_path: Path):
    with Store.open(tmp_path / "align.db") as opened:
        yield opened


def say(store: Store, text: str, sender: str, owners: tuple[str, ...] = ()) -> Turn:
    number = store.turns.count()
    turn = Turn(
        "group",
        (Message("user", text),),
        (Message("assistant", "1. A long answer.\n2. **With bold.**"),),
        text,
        "1. A long answer.\n2. **With bold.**",
        id=f"turn-{number}",
        created_at=f"2026-01-01T10:00:{number:02d}.000000+00:00",
    )
    note_speaker(store, turn.id, "group", sender, "telegram", owners)
    store.turns.add(turn)
    observe(store, store.turns.get(turn.id), Config())
    return turn


def rules(store: Store) -> list[str]:
    return [rule.text for rule in store.rules.list(("active", "proposed"))]


@pytest.mark.parametrize(
    ("sender", "owner", "own"),
    [
        ("777", "777", True),
        ("777", "telegram:777", True),
        ("telegram:777", "telegram:777", True),
        ("telegram:777", "777", True),
        ("777", "signal:777", False),
        ("778", "777", False),
        ("Alice", "alice", True),
        ("7", "*", True),
    ],
)
def test_an_owner_is_known_by_the_id_with_or_without_its_surface(sender, owner, own) -> None:
    assert is_owner(sender, "telegram", [owner]) is own


def test_the_owners_complaint_makes_a_rule(store: Store) -> None:
    say(store, "What is a fox?", "777", ("777",))
    say(store, "No bold and no lists, please.", "777", ("777",))
    assert rules(store)


def test_a_strangers_complaint_makes_none(store: Store) -> None:
    say(store, "What is a fox?", "777", ("777",))
    said = say(store, "No bold and no lists, please.", "666", ("777",))
    assert rules(store) == []
    assert store.feedback.list() == []
    assert is_stranger(store, said.id)
    assert store.counters.all()["feedback.strangers"] == 1


def test_without_a_list_nobodys_words_count_where_several_speak(store: Store) -> None:
    say(store, "What is a fox?", "777")
    say(store, "No bold and no lists, please.", "666")
    say(store, "I said: no bold, no lists!", "777")
    assert rules(store) == []


def test_without_a_list_the_only_speaker_is_the_owner(store: Store) -> None:
    say(store, "What is a fox?", "777")
    say(store, "No bold and no lists, please.", "777")
    assert rules(store)


def test_what_was_read_before_the_sender_was_known_is_taken_back(store: Store) -> None:
    say(store, "What is a fox?", "")
    said = say(store, "No bold and no lists, please.", "")
    assert rules(store)
    assert not note_speaker(store, said.id, "group", "666", "telegram", ("777",))
    retract(store, said.id)
    assert rules(store) == []
    assert all(found.dismissed for found in store.feedback.list())


def test_what_a_stranger_said_is_taken_back_once_however_often_a_client_tells_of_it(
    store: Store,
) -> None:
    say(store, "What is a fox?", "")
    said = say(store, "No bold and no lists, please.", "")
    (wish,) = store.rules.list(("active", "proposed"))
    store.rules.update(wish.id, count=4)
    counts = []
    for _ in range(3):
        assert not note_speaker(store, said.id, "group", "666", "telegram", ("777",))
        retract(store, said.id)
        counts.append(store.rules.get(wish.id).count)
    assert counts == [3, 3, 3]


def test_a_rule_that_a_stranger_displaced_is_in_force_again(store: Store) -> None:
    say(store, "What is a fox?", "")
    say(store, "That is too long, keep it short.", "")
    (own,) = rules(store)
    said = say(store, "This is too short, please explain in more detail.", "")
    assert own not in rules(store)
    assert not note_speaker(store, said.id, "group", "666", "telegram", ("777",))
    retract(store, said.id)
    assert rules(store) == [own]


def test_a_proposal_that_a_stranger_displaced_is_no_more_than_a_proposal_again(
    store: Store,
) -> None:
    say(store, "What is a fox?", "")
    say(store, "That is too long, keep it short.", "")
    (brief,) = store.rules.list(("active",))
    store.rules.update(brief.id, status="proposed")
    said = say(store, "This is too short, please explain in more detail.", "")
    assert store.rules.get(brief.id).status == "retired"
    note_speaker(store, said.id, "group", "666", "telegram", ("777",))
    retract(store, said.id)
    assert store.rules.get(brief.id).status == "proposed"
    assert store.rules.list(("active",)) == []


def learned(number: int, **changes) -> Rule:
    moment = f"2026-01-01T10:00:{number:02d}.000000+00:00"
    return replace(Rule(f"Wish {number}.", "active", first_seen=moment), **changes)


LIMITS = FeedbackConfig(max_rules_a_day=3, max_reversals_a_day=1)
NOON = "2026-01-01T12:00:00.000000+00:00"


def test_a_flood_of_rules_waits() -> None:
    assert not held_back(NOON, [], [learned(n) for n in range(2)], LIMITS)
    assert "3 rules" in held_back(NOON, [], [learned(n) for n in range(3)], LIMITS)


def test_yesterdays_rules_are_no_flood() -> None:
    old = [learned(n, first_seen="2025-12-31T11:00:00.000000+00:00") for n in range(9)]
    assert not held_back(NOON, [], old, LIMITS)


def test_many_reversals_wait_and_one_does_not() -> None:
    ended = learned(1, status="retired", reason="contradicted by: Wish 2.")
    assert not held_back(NOON, [learned(3)], [learned(2)], LIMITS)
    assert "reversed" in held_back(NOON, [learned(3)], [learned(2), ended], LIMITS)


def test_one_message_cannot_turn_the_whole_profile_over(store: Store) -> None:
    config = Config(feedback=FeedbackConfig(max_rules_a_day=2))
    from align_agent.feedback.profile import Profile
    from align_agent.feedback.reader import read
    from align_agent.records import Feedback

    say(store, "What is a fox?", "")
    profile = Profile(store, config)
    for number, direction in enumerate(("format:plain", "length:brief", "tone:warm")):
        words = DIRECTIONS[direction].text
        feedback = Feedback(
            "turn-0",
            "rating",
            "negative",
            "format",
            1.0,
            words,
            "test",
            created_at=f"2026-01-02T10:00:{number:02d}.000000+00:00",
        )
        profile.learn(feedback, replace(read(words), polarity="negative", directions=(direction,)))
    found = store.rules.list()
    assert [rule.status for rule in found] == ["active", "active", "proposed"]
    assert "waits for your yes" in found[-1].reason
