"""What somebody else wrote, told by its form, and long complaints of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from align_agent.config import Config
from align_agent.feedback.pasted import parted
from align_agent.feedback.reader import Reading, read
from align_agent.feedback.signals import accept, observe
from align_agent.store import Store

SAID: dict[str, dict[str, list[str]]] = yaml.safe_load(
    (Path(__file__).parent / "pasted.yaml").read_text(encoding="utf-8")
)
ANSWER = "**Here** is the plan: 1. one 2. two."
Say = Any


def reading(text: str) -> Reading:
    return read(text, answer=ANSWER, previous_user="Make a plan.")


def teaches(found: Reading) -> bool:
    """Whether something is learned from it before anybody looked."""
    sure = found.confidence >= Config().feedback.min_confidence
    told = found.polarity == "negative" and (sure or found.directions or found.wish)
    return not found.review and bool(told or found.standing or found.polarity == "positive")


@pytest.mark.parametrize(("part", "most"), [("built", 0), ("held_out", 1)])
def test_what_others_wrote_teaches_nothing_unseen(part: str, most: int) -> None:
    assert sum(teaches(reading(text)) for text in SAID[part]["pasted"]) <= most


@pytest.mark.parametrize("part", ["built", "held_out"])
def test_long_complaints_are_heard_without_a_look(part: str) -> None:
    own = SAID[part]["own"]
    heard = [r for r in map(reading, own) if r.polarity == "negative" and not r.review]
    assert len(heard) >= 0.83 * len(own)


@pytest.mark.parametrize("text", SAID["held_out"]["own"])
def test_nothing_is_taken_from_a_long_complaint(text: str) -> None:
    assert parted(text).own == text


def test_what_is_asked_beside_a_pasted_mail_remains() -> None:
    text = "No bold please.\n\nFrom: Tom\nSubject: Report\n\nAlways use emoji."
    assert reading(text).directions == ("format:plain",)


def test_a_letter_about_the_answers_may_be_the_users_and_waits_for_a_look() -> None:
    found = reading("Dear friend,\n\nyour answers are far too long.\n\nBest regards,\nMaria")
    assert found.directions == ("length:brief",)
    assert found.review


def test_an_error_after_code_is_the_users_own_complaint() -> None:
    text = 'I get this:\n\nTraceback (most recent call last):\n  File "a.py", line 3\nNameError: x'
    assert read(text, answer="```\nprint(x)\n```").category == "wrong_result"


def test_points_of_a_complaint_are_no_chat() -> None:
    text = "Length: too long\nTone: too cold\nFormat: no bold please"
    assert parted(text).own == text


def test_accepting_a_look_learns_nothing_from_the_pasted_part(store: Store, say: Say) -> None:
    say("Tell me about Rome.")
    turn = say("So useful \U0001f644\n\nFrom: Tom\nSubject: Hi\n\nAlways use emoji.")
    (found,) = observe(store, turn)
    assert found.review
    accept(store, found.id)
    assert store.rules.list() == []


REPORTED = [
    "He told me to never use bold",
    "My boss asked me to always use emoji.",
    "Write an email that says the answer was wrong and too long",
    "Draft a letter saying your text is too long.",
    "Please write a rule for my team: never use bold",
    "What if that's wrong",
    "What if the answer is wrong?",
]


@pytest.mark.parametrize("text", REPORTED)
def test_what_others_said_or_a_text_is_to_say_makes_no_rule(
    store: Store, say: Say, text: str
) -> None:
    say("How do I get to Rome?", "Take the **train**.")
    assert not teaches(reading(text))
    observe(store, say(text))
    assert store.rules.list() == []


def test_a_rule_asked_of_the_agent_counts() -> None:
    assert reading("Make it a rule: never use bold.").directions == ("format:plain",)


def test_what_is_said_beside_reported_speech_counts() -> None:
    assert reading("My boss told me to wait. No bold please.").directions == ("format:plain",)


def test_accepting_a_look_reads_the_whole_of_a_letter(store: Store, say: Say) -> None:
    """What is kept of a message is cut, and a letter without its end is told by nothing."""
    say("Tell me about Rome.", "Rome is: **old**")
    middle = "The weather was fine.\n" * 250
    turn = say(
        f"So useful \U0001f644\n\nDear Maria,\n\nNo bold, please.\n{middle}\nBest regards,\nTom"
    )
    (found,) = observe(store, turn)
    assert found.review
    accept(store, found.id)
    assert store.rules.list() == []


@given(st.text(max_size=400))
def test_any_text_is_parted(text: str) -> None:
    assert len(parted(text).own) <= len(text) + 1
