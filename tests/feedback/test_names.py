"""People's names in small letters keep a wish from becoming a rule."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.directions import DIRECTIONS
from align_agent.feedback.names import names_somebody
from align_agent.feedback.signals import observe
from align_agent.store import Store

Say = Any

NAMING = [
    "From now on always write to anna that the meeting is moved.",
    "Never send mails to grzegorz.",
    "Always sign as tomek.",
    "Always cc birgit on this.",
    "From now on write like hemingway.",
    "Always answer the way anna's teacher would.",
    "Keep it like zofia's letters from now on.",
    "From now on copy dmitri in.",
    "always tell jonas the price",
    "From now on answer as mark twain would",
    "Always cc max.",
]
NAMELESS = [
    "Never start with an apology.",
    "From now on use metric units.",
    "Always answer with bullet points.",
    "In emails to customers always be polite.",
    "Always use simple words, as for a child.",
    "From now on explain everything like a teacher.",
    "Please always end with a summary.",
    "Never begin with filler words like sure.",
    "Always give pros and cons.",
    "Never talk about politics.",
    "From now on max three sentences.",
    "Answer with max 3 sentences.",
    "Always write code in julia.",
    "From now on use jasmine for tests.",
    "Always answer as a teacher would.",
    *(direction.text for direction in DIRECTIONS.values()),
]


@pytest.mark.parametrize("text", NAMING)
def test_a_name_in_small_letters_is_told(text: str) -> None:
    assert names_somebody(text)


@pytest.mark.parametrize("text", NAMELESS)
def test_a_wish_about_the_manner_names_nobody(text: str) -> None:
    assert not names_somebody(text)


def test_a_wish_that_names_somebody_is_not_proposed(store: Store, say: Say) -> None:
    say("What is new?")
    observe(store, say("From now on always write to anna that the meeting is moved."))
    assert store.rules.list() == []


@pytest.mark.parametrize(
    "text",
    [
        "From now on say that the tumor is benign",
        "Always end with love, grandma",
        "From now on, answer as mark twain would",
        "From now on never mention the hiv clinic",
    ],
)
def test_a_private_matter_is_not_proposed(store: Store, say: Say, text: str) -> None:
    say("What is new?")
    observe(store, say(text))
    assert store.rules.list() == []


def test_the_same_wish_without_a_name_is_proposed(store: Store, say: Say) -> None:
    say("What is new?")
    observe(store, say("From now on always write that the meeting is moved."))
    assert [rule.status for rule in store.rules.list()] == ["proposed"]


@given(st.text(max_size=300))
def test_any_text_is_looked_at_for_names(text: str) -> None:
    assert names_somebody(text) in (True, False)
