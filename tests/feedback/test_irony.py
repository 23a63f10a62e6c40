"""Praise that is meant, and praise that means its opposite."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from align_agent.config import Config
from align_agent.feedback.irony import ironic
from align_agent.feedback.reader import Reading, read

SAID: dict[str, dict[str, list[str]]] = yaml.safe_load(
    (Path(__file__).parent / "irony.yaml").read_text(encoding="utf-8")
)
PLAIN: dict[str, list[str]] = yaml.safe_load(
    (Path(__file__).parent / "plain.yaml").read_text(encoding="utf-8")
)
ANSWER = "Day one: the Opera House in Sydney. Day two: Bondi Beach."


def reading(text: str) -> Reading:
    return read(text, answer=ANSWER, previous_user="Plan a trip.")


def share_of_praise(texts: list[str]) -> float:
    return sum(reading(text).polarity == "positive" for text in texts) / len(texts)


def test_irony_that_it_was_written_on_is_not_taken_for_praise() -> None:
    assert share_of_praise(SAID["built"]["sarcastic"]) == 0


def test_of_irony_that_it_never_saw_one_in_four_at_most_is_taken_for_praise() -> None:
    assert share_of_praise(SAID["held_out"]["sarcastic"]) <= 0.25


SINCERE = [*SAID["built"]["sincere"], *SAID["held_out"]["sincere"], *PLAIN["praise"]]


@pytest.mark.parametrize("text", [*SINCERE, *PLAIN["neutral"]])
def test_what_is_meant_as_it_is_said_is_not_ironic(text: str) -> None:
    assert not ironic(text)


@pytest.mark.parametrize("text", [*SINCERE, *PLAIN["neutral"]])
def test_nothing_is_learned_against_an_answer_that_is_praised_or_left_behind(text: str) -> None:
    found = reading(text)
    learned = found.confidence >= Config().feedback.min_confidence and not found.review
    assert not (found.polarity == "negative" and learned)


def test_sincere_praise_is_seldom_heard_as_a_complaint() -> None:
    assert sum(reading(text).polarity == "negative" for text in SINCERE) <= 0.1 * len(SINCERE)


@pytest.mark.parametrize(
    "text",
    [
        "Great, but too long.",
        "Thanks, the answer is wrong.",
        "Nice, shorter please.",
        "Thanks. You forgot the price.",
        "Impressive how well you explain this, but no bold please.",
        "Perfect. Now without the bold, please.",
    ],
)
def test_a_complaint_behind_praise_is_heard(text: str) -> None:
    assert read(text, answer="**Sydney**", previous_user="Plan a trip.").polarity == "negative"


@pytest.mark.parametrize(
    "text",
    ["Wow, so helpful. Not.", "Oh great, Sydney again. Fantastic.", "So useful \U0001f644"],
)
def test_irony_without_a_plain_complaint_is_not_learned_from_unseen(text: str) -> None:
    found = reading(text)
    assert found.polarity == "negative"
    assert found.review or found.confidence < Config().feedback.min_confidence


@pytest.mark.parametrize("text", ["Oh great. That's wrong.", "Wow, so helpful. No bold, please."])
def test_a_plain_complaint_beside_irony_stands_for_itself(text: str) -> None:
    found = read(text, answer="**Sydney**", previous_user="Plan a trip.")
    assert (found.polarity, found.review) == ("negative", "")


def test_a_wish_that_is_met_is_not_turned_round() -> None:
    found = read("Thanks, but don't give me a numbered list.", answer="It is 12.")
    assert found.direction == "format:plain"
    assert not found.review


@pytest.mark.parametrize(
    "text",
    ['What does "helpful" mean?', "> Wow, so helpful. Not.\nWho wrote this?", "```\ngreat /s\n```"],
)
def test_words_that_are_spoken_of_are_not_ironic(text: str) -> None:
    assert not ironic(text)


@given(st.text(max_size=300))
def test_any_text_is_looked_at_for_irony(text: str) -> None:
    assert isinstance(ironic(text), str)
