"""Short complaints in other languages, and messages of emoji alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from align_agent.config import Config
from align_agent.feedback.abroad import _READ, read_abroad
from align_agent.feedback.reader import read

SAID: dict[str, list[str]] = yaml.safe_load(
    (Path(__file__).parent / "abroad.yaml").read_text(encoding="utf-8")
)
KINDS = [kind for kind in SAID if kind not in ("nothing", "look")]
COMPLAINTS = [(kind, text) for kind in KINDS for text in SAID[kind]]
TRUE_OR_FALSE = "True or false: Rome has three airports."


@pytest.mark.parametrize(("kind", "text"), COMPLAINTS)
def test_a_short_complaint_is_heard_with_its_kind(kind: str, text: str) -> None:
    found = read(text, answer="Das ist ein Plan.", previous_user="Mach einen Plan.")
    assert (found.polarity, found.category) == ("negative", kind)
    assert found.confidence >= 0.6


@pytest.mark.parametrize("text", SAID["nothing"])
def test_nothing_is_learned_from_an_ordinary_message(text: str) -> None:
    assert read_abroad(text) is None
    found = read(text, answer="Das ist ein Plan.", previous_user="Mach einen Plan.")
    assert found.polarity != "negative" or found.confidence < Config().feedback.min_confidence


@pytest.mark.parametrize("text", SAID["look"])
def test_where_more_follows_it_waits_for_a_look(text: str) -> None:
    found = read(text, answer="Das ist ein Plan.", previous_user="Mach einen Plan.")
    assert found.review
    assert found.confidence < Config().feedback.min_confidence


@pytest.mark.parametrize("denial", ["no", "non", "não", "nie", "не", "nicht", "pas", "niet", "不"])
def test_a_complaint_that_is_denied_is_none(denial: str) -> None:
    heard = [text for _, text in COMPLAINTS if read_abroad(f"{denial} {text}")]
    assert heard == []


def test_all_wordings_of_a_group_end_alike() -> None:
    """In "(?:very |quite)?long" the space was lost at a line break."""
    groups = [
        group.split("|")
        for _, _, pattern in _READ
        for group in re.findall(r"\(\?:([^()]*)\)", pattern.pattern)
    ]
    assert [words for words in groups if len({word.endswith(" ") for word in words}) > 1] == []


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("Wahr oder falsch: Rom hat drei Flughäfen.", "Falsch"),
        ("**Wahr oder falsch?** Rom hat drei Flughäfen.", "Das ist falsch."),
        (TRUE_OR_FALSE, "False"),
        (TRUE_OR_FALSE, "Falso"),
        (TRUE_OR_FALSE, "That's wrong."),
    ],
)
def test_who_judges_a_statement_of_a_quiz_finds_no_fault(answer: str, text: str) -> None:
    assert read(text, answer=answer, previous_user="Quiz me").polarity == "neutral"


@pytest.mark.parametrize(
    "offer", ["Soll ich es erklären?", "Soll ich noch etwas erklären?", "Anything else?"]
)
def test_an_offer_behind_an_answer_leaves_a_complaint_its_meaning(offer: str) -> None:
    found = read("Das ist falsch!", answer=f"Das Ergebnis ist 14. {offer}", previous_user="3*4")
    assert (found.category, found.review) == ("wrong_fact", "")


def test_too_long_asks_for_brevity_in_every_language() -> None:
    assert {read(text).direction for text in SAID["too_long"]} == {"length:brief"}


@pytest.mark.parametrize("text", ["Das stimmt nicht.", "Eso no es cierto.", "不对", "👎"])
def test_an_answer_to_the_agents_question_is_no_complaint(text: str) -> None:
    assert read_abroad(text, answer="Ist das Ihr Name?") is None


def test_a_translation_once_more_is_no_complaint() -> None:
    said = "En français, s'il te plaît"
    assert read_abroad(said, previous_user="Traduis cette phrase : dog.") is None


@pytest.mark.parametrize("text", ["👎", "👎🏽", "👎!", "💩"])
def test_a_message_of_blame_alone_is_a_complaint(text: str) -> None:
    found = read(text, answer="It is 12.")
    assert (found.polarity, found.confidence) == ("negative", 0.85)


@pytest.mark.parametrize("text", ["😡", "😤", "🤬🤬", "😠"])
def test_anger_may_be_at_what_was_told_and_is_not_learned_from(text: str) -> None:
    found = read(text, answer="I'm so sorry your boss shouted at you. That was unfair.")
    assert found.polarity == "negative"
    assert found.confidence < Config().feedback.min_confidence


@pytest.mark.parametrize("text", ["👍", "❤️", "👏👏", "🙏"])
def test_a_message_of_praise_alone_is_praise(text: str) -> None:
    assert read(text, answer="It is 12.").polarity == "positive"


@pytest.mark.parametrize("text", ["🤔", "🐶", "👍👎", "🇩🇪", "...", "?!"])
def test_emoji_that_may_mean_anything_mean_nothing(text: str) -> None:
    assert read(text, answer="It is 12.").polarity == "neutral"


@given(st.text(max_size=150))
def test_any_text_is_looked_at(text: str) -> None:
    found = read_abroad(text)
    assert found is None or found.confidence > 0
