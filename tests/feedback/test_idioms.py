"""Idioms are no wishes, and a question given up is weak evidence without a rule."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.config import Config
from align_agent.feedback.idioms import without_idioms
from align_agent.feedback.reader import read
from align_agent.feedback.signals import observe
from align_agent.store import Store

Say = Any
ANSWER = "Here is a **plan**: 1. walk 2. rest."


@pytest.mark.parametrize(
    "text",
    [
        "never mind, I'll do it myself",
        "Never mind.",
        "never mind, found it!",
        "nvm",
        "Don't worry about it.",
        "please don't worry",
        "don't bother",
        "No need.",
        "forget it",
        "Never say never",
        "You never know.",
        "Always welcome!",
        "Same as always.",
        "never mind the airport, how do I get from Termini to Trastevere",
        "never mind the weather, what should I pack",
        "Never mind the gap.",
        "Never worry about money again",
        "Don't bother with the train then, what about a taxi",
        "don't bother with hotels",
        "Forget about Urbe, is Ciampino open at night",
        "Don\u2019t get me wrong, I like it.",
    ],
)
def test_an_idiom_makes_no_rule(store: Store, say: Say, text: str) -> None:
    say("Make a plan.", ANSWER)
    observe(store, say(text))
    assert store.rules.list() == []


@pytest.mark.parametrize(
    "text",
    [
        "never mind, I'll do it myself",
        "Never mind.",
        "Forget it, I'll ask someone else.",
        "don't bother, I'll google it",
        "I give up.",
        "ok, I will just write it myself",
    ],
)
def test_a_question_given_up_is_weak_evidence(text: str) -> None:
    found = read(text, answer=ANSWER)
    assert found.polarity == "negative"
    assert found.confidence < Config().feedback.min_confidence
    assert (found.wish, found.directions) == ("", ())


@pytest.mark.parametrize(
    "text",
    [
        "never mind, found it!",
        "Never mind, my mistake.",
        "Don't worry about it.",
        "No need.",
        "No worries!",
        "Never mind, thanks!",
        "Can I do it myself?",
        "Forget it, let's talk about Naples instead",
        "never mind the weather, what should I pack",
        "don't bother with hotels",
        "I'll write it myself, just give me the outline",
    ],
)
def test_what_was_settled_otherwise_is_no_complaint(text: str) -> None:
    assert read(text, answer=ANSWER).polarity != "negative"


def test_an_offer_that_is_declined_is_no_complaint() -> None:
    assert read("Never mind.", answer="Shall I book it?").polarity == "neutral"


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("never mind the bold", "format:plain"),
        ("no need for bold", "format:plain"),
        ("Don't worry. But no bold, please.", "format:plain"),
    ],
)
def test_a_wish_beside_or_within_an_idiom_is_heard(text: str, direction: str) -> None:
    assert read(text, answer=ANSWER).direction == direction


@pytest.mark.parametrize("text", ["Never mind the bold.", "Don't bother with the bold, please."])
def test_an_idiom_about_a_matter_of_style_is_a_wish(text: str) -> None:
    assert read(text, answer=ANSWER).directions == ("format:plain",)


@given(st.text(max_size=200))
def test_any_text_is_freed_of_idioms(text: str) -> None:
    assert len(without_idioms(text)) <= len(text)
