"""One word to the contrary of what was asked for often: it waits for the second."""

from __future__ import annotations

import pytest
from complaints_said import Say, complain, in_force
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from align_agent.feedback.guard import ONCE
from align_agent.feedback.profile import Profile
from align_agent.feedback.signals import rate
from align_agent.store import Store

BRIEF = ("Too long.", "Shorter please.", "Way too long!")


def test_one_word_to_the_contrary_does_not_end_what_was_asked_for_often(
    store: Store, say: Say, profile: Profile
) -> None:
    complain(store, say, *BRIEF, "Show me the steps please.")
    assert in_force(profile) == ["length:brief"]
    (waiting,) = store.rules.list(("proposed",))
    assert waiting.direction == "length:steps"
    assert waiting.reason.startswith(ONCE)


def test_what_was_asked_for_often_ends_when_the_opposite_is_said_twice(
    store: Store, say: Say, profile: Profile
) -> None:
    complain(store, say, *BRIEF, "Show me the steps please.", "I want to see the steps.")
    assert in_force(profile) == ["length:steps"]


@pytest.mark.parametrize("text", ["From now on show me the steps.", "Always show the steps."])
def test_a_standing_wish_ends_at_once_what_was_asked_for_often(
    store: Store, say: Say, profile: Profile, text: str
) -> None:
    complain(store, say, *BRIEF, text)
    assert in_force(profile) == ["length:steps"]


def test_a_rating_ends_at_once_what_was_asked_for_often(
    store: Store, say: Say, profile: Profile
) -> None:
    complain(store, say, *BRIEF)
    turn = say("How many?", conversation_id="rated")
    rate(store, turn.id, up=False, why="Show the steps.")
    assert in_force(profile) == ["length:steps"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(st.lists(st.booleans(), max_size=6))
def test_slips_that_are_set_right_never_end_what_was_asked_for_often(
    store: Store, say: Say, profile: Profile, slips: list[bool]
) -> None:
    complain(store, say, *BRIEF)
    for slip in slips:
        complain(store, say, *(["Show the steps."] if slip else []), "Too long.")
        assert in_force(profile) == ["length:brief"]
