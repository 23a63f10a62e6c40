"""What a stored turn says about the one before it: follow-ups, retries, ratings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.distill.select import correction
from align_agent.errors import InputError, NotFound
from align_agent.feedback.signals import accept, is_retry, observe, rate
from align_agent.feedback.words import WordsScore
from align_agent.store import Store

Say = Any


def test_a_complaint_is_feedback_on_the_turn_before(store: Store, say: Say) -> None:
    first, second = say("How many apples?"), say("No bold please.")
    (found,) = observe(store, second)
    assert (found.turn_id, found.source_turn_id) == (first.id, second.id)
    assert (found.kind, found.polarity, found.category) == ("follow_up", "negative", "format")
    assert found.text == "No bold please."
    assert store.feedback.for_turn(first.id) == [found]


def test_thanks_are_positive_feedback(store: Store, say: Say) -> None:
    say("How many apples?")
    (found,) = observe(store, say("Thanks, great!"))
    assert found.polarity == "positive"


def test_a_new_question_is_no_feedback(store: Store, say: Say) -> None:
    say("How many apples?")
    assert observe(store, say("What is the capital of France?")) == []


def test_observing_twice_adds_nothing(store: Store, say: Say) -> None:
    say("How many apples?")
    second = say("No bold please.")
    observe(store, second)
    assert observe(store, second) == []
    assert store.feedback.count() == {"negative": 1}
    assert [rule.count for rule in store.rules.list()] == [1]


def test_the_first_turn_of_a_conversation_is_no_follow_up(store: Store, say: Say) -> None:
    say("How many apples?", conversation_id="other")
    assert observe(store, say("No bold please.")) == []


def test_side_traffic_is_no_follow_up_and_has_none(store: Store, say: Say) -> None:
    first = say("How many apples?")
    say("Give this chat a title.", main=False)
    assert observe(store, say("Too long", main=False)) == []
    (found,) = observe(store, say("Too long."))
    assert found.turn_id == first.id


def test_a_turn_without_an_answer_gets_no_feedback(store: Store, say: Say) -> None:
    say("How many apples?", answer="")
    assert observe(store, say("Too long.")) == []


def test_the_same_question_again_is_a_retry(store: Store, say: Say) -> None:
    first = say("How many apples does Tom have?")
    (found,) = observe(store, say("how many apples does tom have"))
    assert (found.kind, found.polarity, found.category) == ("retry", "negative", "repeat")
    assert found.turn_id == first.id


def test_a_retry_makes_no_rule(store: Store, say: Say) -> None:
    say("How many apples does Tom have?")
    observe(store, say("How many apples does Tom have?"))
    assert store.rules.list() == []


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("How many apples does Tom have?", "How many aples does Tom have??", True),
        ("Who wrote Faust?", "Please, who wrote Faust?", True),
        ("Explain how a motor works", "explain again how a motor works", True),
        ("Tom has 5 apples and eats 2.", "Tom has 6 apples and eats 2.", False),
        ("What is the capital of France?", "What is the capital of Spain?", False),
        ("Is it hot?", "Was it hot?", False),
        ("go on", "go on", False),
        ("next", "next", False),
        ("Name a fruit that is red", "Name a fruit that is yellow", False),
        ("", "", False),
    ],
)
def test_retries_are_told_from_the_next_exercise(first: str, second: str, same: bool) -> None:
    assert is_retry(second, first) is same


def test_the_layers_of_a_reading_are_kept_beside_it(store: Store, say: Say) -> None:
    say("How many apples?")
    (found,) = observe(store, say("No bold please."))
    kept = store.feedback.get(found.id)
    assert kept.layers == found.layers
    assert set(kept.layers) == {"lexicon", "words", "combined"}


@pytest.fixture
def contradiction(store: Store, say: Say, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Feedback on the first turn whose layers contradict each other."""
    first = say("How many apples?")
    certain_no = WordsScore(-8.0, "none", "")
    monkeypatch.setattr("align_agent.feedback.words.score", lambda *a, **k: certain_no)
    (found,) = observe(store, say("No bold please."))
    assert found.turn_id == first.id
    return found


def test_layers_that_contradict_each_other_wait_for_a_look(store: Store, contradiction) -> None:
    assert contradiction.review
    assert store.feedback.to_review() == [contradiction]
    assert store.rules.list() == []
    assert correction([contradiction], 0.0) == (False, "")
    assert store.turns.count_corrected(0.0) == 0


def test_what_the_user_accepts_is_learned(store: Store, contradiction) -> None:
    accept(store, contradiction.id)
    assert store.feedback.to_review() == []
    assert [rule.direction for rule in store.rules.list(["active"])] == ["format:plain"]
    assert store.turns.count_corrected(0.0) == 1


def test_what_the_user_dismisses_waits_no_longer(store: Store, contradiction) -> None:
    store.feedback.dismiss(contradiction.id)
    assert store.feedback.to_review() == []
    assert store.rules.list() == []


@given(st.text(max_size=80), st.text(max_size=80))
def test_being_a_retry_is_mutual(one: str, other: str) -> None:
    assert is_retry(one, other) == is_retry(other, one)


def test_a_standing_wish_becomes_a_rule_even_where_it_is_met(store: Store, say: Say) -> None:
    say("How many apples?", answer="12 apples.")
    (found,) = observe(store, say("From now on no emoji please."))
    assert found.polarity == "neutral"
    assert [rule.direction for rule in store.rules.list()] == ["emoji:none"]


def test_a_rating_replaces_the_one_before(store: Store, say: Say) -> None:
    turn = say("How many apples?")
    rate(store, turn.id, False, "way too long")
    rate(store, turn.id, True)
    valid = [f for f in store.feedback.for_turn(turn.id) if not f.dismissed]
    assert [(f.kind, f.polarity) for f in valid] == [("rating", "positive")]


def test_the_reason_of_a_rating_becomes_a_rule(store: Store, say: Say) -> None:
    turn = say("How many apples?")
    found = rate(store, turn.id, False, "way too long")
    assert (found.category, found.confidence) == ("too_long", 1.0)
    (rule,) = store.rules.list()
    assert rule.direction == "length:brief"
    assert store.rules.turns_of(rule.id) == [turn.id]


def test_a_rating_without_a_reason_makes_no_rule(store: Store, say: Say) -> None:
    rate(store, say("How many apples?").id, False)
    assert store.rules.list() == []


def test_an_up_rating_makes_no_rule_whatever_its_reason(store: Store, say: Say) -> None:
    rate(store, say("How many apples?").id, True, "not too long for once")
    assert store.rules.list() == []


def test_rating_a_turn_that_is_not_there_is_told(store: Store) -> None:
    with pytest.raises(NotFound):
        rate(store, "turn-nothing", True)


def test_an_endless_reason_is_refused(store: Store, say: Say) -> None:
    with pytest.raises(InputError):
        rate(store, say("How many apples?").id, False, "a" * 10_000)
