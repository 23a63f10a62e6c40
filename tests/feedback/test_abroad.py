"""Short complaints in other languages, and messages of emoji alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from align_agent.config import Config
from align_agent.feedback.abroad import read_abroad
from align_agent.feedback.reader import read

SAID: dict[str, list[str]] = yaml.safe_load(
    (Path(__file__).parent / "abroad.yaml").read_text(encoding="utf-8")
)
COMPLAINTS = [(kind, text) for kind, texts in SAID.items() if kind != "nothing" for text in texts]


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


def test_too_long_asks_for_brevity_in_every_language() -> None:
    assert {read(text).direction for text in SAID["too_long"]} == {"length:brief"}


@pytest.mark.parametrize("text", ["Das stimmt nicht.", "Eso no es cierto.", "不对", "👎"])
def test_an_answer_to_the_agents_question_is_no_complaint(text: str) -> None:
    assert read_abroad(text, answer="Ist das Ihr Name?") is None


def test_a_translation_once_more_is_no_complaint() -> None:
    said = "En français, s'il te plaît"
    assert read_abroad(said, previous_user="Traduis cette phrase : dog.") is None


@pytest.mark.parametrize("text", ["👎", "👎🏽", "😡", "🤬🤬", "👎!", "💩"])
def test_a_message_of_blame_alone_is_a_complaint(text: str) -> None:
    found = read(text, answer="It is 12.")
    assert (found.polarity, found.confidence) == ("negative", 0.85)


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
