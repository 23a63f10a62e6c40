"""Reading follow-ups: complaints of many wordings, praise, and what is neither."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from align_agent.directions import DIRECTIONS
from align_agent.feedback.reader import Reading, read

SAID: dict[str, list[str]] = yaml.safe_load(
    (Path(__file__).parent / "said.yaml").read_text(encoding="utf-8")
)
REAL = Path(__file__).parents[3] / "shared" / "data"
MARKDOWN_ANSWER = "1. 12 + 7 = 19\n2. 19 - 3 = 16\n\n**Final Answer:** 16"


# Style


@pytest.mark.parametrize("direction", list(DIRECTIONS))
def test_nine_in_ten_wordings_of_a_direction_are_understood(direction: str) -> None:
    readings = [read(text) for text in SAID[direction]]
    right = [r for r in readings if r.polarity == "negative" and r.direction == direction]
    assert len(right) >= 0.9 * len(readings)


def test_one_wording_in_fifty_at_most_is_taken_for_another_wish() -> None:
    wordings = [(key, text) for key in DIRECTIONS for text in SAID[key]]
    wrong = [(key, text) for key, text in wordings if read(text).direction not in ("", key)]
    assert len(wrong) <= 0.02 * len(wordings), wrong


def test_what_asks_for_no_other_style_is_no_complaint() -> None:
    alarms = [text for text in SAID["nothing"] if read(text).polarity == "negative"]
    assert alarms == []


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("no bold please, it looks like AI wrote it", "format:plain"),
        ("way too long", "length:brief"),
        ("just give me the answer", "length:brief"),
        ("can you walk me through it?", "length:steps"),
        ("you sound cold", "tone:warm"),
        ("drop the emojis", "emoji:none"),
        ("Emoji-free, please.", "emoji:none"),
        ("Keep your answers free of lists.", "format:plain"),
        ("say what exactly is wrong with my answer", "detail:specific"),
        ("NO BOLD PLEASE", "format:plain"),
        ("Plz no emojis!!!", "emoji:none"),
        ("dont use bullet points", "format:plain"),
        ("don\u2019t use bullet points", "format:plain"),
        ("ｎｏ ｂｏｌｄ", "format:plain"),
    ],
)
def test_plain_wordings_are_understood(text: str, direction: str) -> None:
    reading = read(text, answer=MARKDOWN_ANSWER + " 😊")
    assert (reading.polarity, reading.direction) == ("negative", direction)


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("use emoji", "emoji:some"),
        ("add a friendly emoji", "emoji:some"),
        ("could you put that into a nice list", "format:markdown"),
        ("the praise feels fake", "tone:neutral"),
        ("it looks fake", "format:plain"),
        ("stop being so detailed about the mistake", "detail:generic"),
        ("don't use emoji", "emoji:none"),
        ("you don't use emoji", "emoji:some"),
        ("you keep using emoji", "emoji:none"),
        ("stop leaving out the emoji", "emoji:some"),
        ("why no emoji?", "emoji:some"),
        ("still no emoji", "emoji:some"),
        ("emoji again?!", "emoji:none"),
        ("use emoji again", "emoji:some"),
        ("why all the emoji?", "emoji:none"),
        ("there are no emoji", "emoji:some"),
        ("I asked for no emoji", "emoji:none"),
        ("I asked for emoji", "emoji:some"),
        ("you need to use emoji", "emoji:some"),
        ("you don't need to use emoji", "emoji:none"),
        ("could you not use emoji", "emoji:none"),
        ("I'd rather have emoji than bold", "emoji:some"),
        ("don't skip the steps", "length:steps"),
        ("you skipped the steps", "length:steps"),
        ("skip the steps", "length:brief"),
        ("don't just give me the answer", "length:steps"),
        ("you only gave me the answer", "length:steps"),
        ("too formal", "tone:warm"),
        ("not formal enough", "tone:neutral"),
        ("more formal", "tone:neutral"),
        ("less formal", "tone:warm"),
    ],
)
def test_negation_is_read_by_who_says_it_of_what(text: str, direction: str) -> None:
    assert read(text).direction == direction


@pytest.mark.parametrize(
    "text",
    [
        "It's not cold at all, thanks!",
        "Thanks for keeping it short.",
        "I like that it's brief.",
        "Great, no emojis this time!",
        "Nice and short, thanks!",
    ],
)
def test_praise_in_the_words_of_a_complaint_is_praise(text: str) -> None:
    assert read(text).polarity == "positive"


@pytest.mark.parametrize(
    ("text", "answer", "waits"),
    [
        ("Yes, it's too long", "Here is the plan.\n\nShall I shorten the plan?", True),
        ("yes please, the letter is too formal", "Would you like me to rewrite it?", True),
        ("Ja, it is too long", "Soll ich den Brief kürzen?", True),
        ("Yes, but your answer was too long", "Shall I book it?", False),
        ("That was too long.", "Shall I book it?", False),
        ("Yes, too long", "Here is the plan. Is there anything else I can do?", False),
        ("Yes, and your answers are too long", "Here is the plan.", False),
    ],
)
def test_a_complaint_beside_a_yes_to_an_offer_waits_for_a_look(
    text: str, answer: str, waits: bool
) -> None:
    found = read(text, answer=answer)
    assert found.polarity == "negative"
    assert ("offer" in found.review) is waits


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Please write plain text.", "Tom has 12 apples."),
        ("No emoji please.", "Tom has 12 apples."),
        ("Keep it short.", "12 apples."),
        ("Use emoji.", "12 apples 🎉"),
        ("Show the steps.", MARKDOWN_ANSWER),
        ("Be warm and encouraging.", "Well done! It is 12."),
    ],
)
def test_a_wish_that_the_answer_has_met_is_no_complaint(text: str, answer: str) -> None:
    reading = read(text, answer=answer)
    assert reading.polarity == "neutral"
    assert reading.direction


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Too long.", "12 apples."),
        ("Still shorter please.", "12 apples."),
        ("You are not friendly enough.", "Well done! It is 12."),
    ],
)
def test_a_fault_or_a_comparison_is_a_complaint_whatever_the_checks_say(
    text: str, answer: str
) -> None:
    assert read(text, answer=answer).polarity == "negative"


def test_a_standing_wish_is_noted_even_where_it_is_met() -> None:
    reading = read("From now on no emoji please.", answer="It is 12.")
    assert (reading.polarity, reading.standing) == ("neutral", True)
    assert reading.direction == "emoji:none"


def test_two_wishes_in_one_message_are_both_found() -> None:
    reading = read("No bold please, and be a bit friendlier.")
    assert set(reading.directions) == {"format:plain", "tone:warm"}


def test_of_two_contrary_wishes_on_one_axis_one_remains() -> None:
    reading = read("Shorter. No wait, show the steps please.")
    assert len([key for key in reading.directions if key.startswith("length:")]) == 1


# Everything else


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("That's wrong.", "wrong_fact"),
        ("No, it's Canberra.", "wrong_fact"),
        ("I don't think that is correct", "wrong_fact"),
        ("you made a mistake in the second line", "wrong_fact"),
        ("It doesn't work.", "wrong_result"),
        ("I get an error: list index out of range", "wrong_result"),
        ("The sum is wrong.", "wrong_result"),
        ("That's not what I asked.", "not_as_asked"),
        ("You didn't answer my question", "not_as_asked"),
        ("Don't include n.", "not_as_asked"),
        ("try again", "not_as_asked"),
        ("You forgot the second part", "missing_part"),
        ("You did not explain how this relates to the speed of light!", "missing_part"),
        ("What do you mean?", "clarification"),
        ("that doesn't make any sense", "clarification"),
        ("I don't get it.", "clarification"),
        ("you already said that", "repeat"),
        ("Same answer again", "repeat"),
        ("Don't delete anything without asking me!", "unsafe_action"),
        ("please answer in German", "language"),
        ("too much jargon", "language"),
        ("Thanks, but that's wrong", "wrong_fact"),
        ("I think that's great, but I'd like another suggestion.", "praise_but"),
    ],
)
def test_other_complaints_have_their_category(text: str, category: str) -> None:
    reading = read(text)
    assert (reading.polarity, reading.category) == ("negative", category)
    assert reading.direction == ""


@pytest.mark.parametrize(
    "text",
    ["thanks", "Thanks, great!", "Perfect.", "that works, thank you", "Exactly what I needed."],
)
def test_praise_is_positive(text: str) -> None:
    reading = read(text)
    assert (reading.polarity, reading.category) == ("positive", "praise")


def test_praise_before_a_new_question_is_praise() -> None:
    assert read("Thank you. How far is the moon?").polarity == "positive"


@pytest.mark.parametrize(
    "text",
    [
        'My boss wrote "your mails are too long". What shall I reply?',
        "> too long\nIs this a fair comment?",
        "```\nprint('wrong')\n```",
        "Translate `that is wrong` please",
        "What does “no bold please” mean?",
    ],
)
def test_quotations_and_code_do_not_fool_it(text: str) -> None:
    assert read(text).polarity == "neutral"


def test_sentences_copied_from_the_answer_do_not_fool_it() -> None:
    answer = "The first claim is wrong, because the moon is not made of cheese at all."
    said = "The first claim is wrong, because the moon is not made of cheese at all. Tell me more."
    assert read(said, answer=answer).polarity == "neutral"


@pytest.mark.parametrize("text", ["No, I don't think so.", "No, I don't like that one.", "no"])
def test_refusing_an_offer_is_no_complaint(text: str) -> None:
    assert read(text, answer="Shall I book a table for two?").polarity == "neutral"


@pytest.mark.parametrize("text", ["I need a list.", "Make it a list.", "Just the total."])
def test_wishes_about_a_program_are_not_about_style(text: str) -> None:
    reading = read(text, answer="def f(n):\n    return tuple(range(1, n + 1))")
    assert (reading.polarity, reading.direction) == ("negative", "")


def test_a_new_task_after_a_program_is_no_change_to_it() -> None:
    answer = "def f(n):\n    return tuple(range(1, n + 1))"
    assert read("Please work out 916 * 31.", answer=answer).polarity == "neutral"


@pytest.mark.parametrize(
    "text",
    ["Never start with an apology.", "From now on use metric units.", "Stop apologizing."],
)
def test_a_general_wish_without_a_direction_is_kept_in_the_users_words(text: str) -> None:
    reading = read(text)
    assert reading.polarity == "negative"
    assert reading.wish == text


def test_a_complaint_about_this_answer_alone_makes_no_general_wish() -> None:
    assert read("Don't include n.").wish == ""


# Any text


@settings(max_examples=400, deadline=None)
@given(st.text(max_size=300), st.text(max_size=100), st.text(max_size=100))
def test_any_text_is_read(text: str, answer: str, before: str) -> None:
    reading = read(text, answer=answer, previous_user=before)
    assert isinstance(reading, Reading)
    assert 0.0 <= reading.confidence <= 1.0
    assert all(key in DIRECTIONS for key in reading.directions)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            "no not too bold list short you didn't stop please, the answer is was . ? ! \" ` > "
            "emoji 😊 warm cold steps use without \ud800 \x00 \u202e".split()
        ),
        max_size=40,
    )
)
def test_any_order_of_telling_words_is_read(words: list[str]) -> None:
    assert isinstance(read(" ".join(words)), Reading)


@pytest.mark.parametrize(
    "text", ["a", " ", "too long ", '"', "`", "\n", "no, ", "you did not ", "oh "]
)
def test_a_megabyte_of_anything_is_read(text: str) -> None:
    huge = text * (1_000_000 // len(text))
    assert isinstance(read(huge, answer=huge, previous_user=huge), Reading)


@given(st.text(max_size=200))
def test_reading_is_a_function_of_the_text(text: str) -> None:
    assert read(text) == read(text)


# Real conversations


def _rows(name: str) -> list[dict[str, Any]]:
    path = REAL / f"followups_{name}_dev.jsonl"
    if not path.exists():
        pytest.skip("the real conversations are not on this machine")
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _counts(name: str) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for row in _rows(name):
        context = row["context"]
        answer = context[-1]["content"] if context[-1]["role"] == "assistant" else ""
        asked = [m["content"] for m in context if m["role"] == "user"]
        reading = read(row["user"], answer=answer, previous_user=asked[-1] if asked else "")
        counts[row["label"], reading.polarity] += 1
    return counts


def _precision_and_recall(counts: Counter[tuple[str, str]]) -> tuple[float, float]:
    hits = counts["negative", "negative"]
    alarms = counts["neutral", "negative"] + counts["positive", "negative"]
    missed = counts["negative", "neutral"] + counts["negative", "positive"]
    return hits / (hits + alarms), hits / (hits + missed)


def test_complaints_of_real_users_are_told_precisely() -> None:
    precision, recall = _precision_and_recall(_counts("oasst"))
    assert precision >= 0.85
    assert recall >= 0.7


def test_complaints_in_human_labelled_dialogues_are_told() -> None:
    precision, recall = _precision_and_recall(_counts("eurtad"))
    assert precision >= 0.8
    assert recall >= 0.6


def test_next_questions_of_real_users_raise_few_alarms() -> None:
    counts = _counts("ifllm_neutral")
    assert counts["neutral", "negative"] <= 0.03 * counts.total()


@pytest.mark.parametrize(
    "text",
    [
        "Here is the mail I got: Dear support, your answers are far too long. Always use emoji. "
        "Can you reply to it?",
        "Translate into German: your answer is wrong, be shorter",
        "Proofread this letter: You are too long and too cold. No bold, please.",
        "My teacher wrote: too long, be brief",
        "The movie was too long. Recommend another.",
        "Too long; didn't read the book. What is it about?",
        "The flight was way too long. Which airport is closer?",
    ],
)
def test_a_pasted_text_or_a_thing_elsewhere_is_no_complaint(text: str) -> None:
    found = read(text, answer="Here you are.", previous_user="Hello there.")
    assert found.polarity != "negative"
    assert not found.directions


@pytest.mark.parametrize(
    ("text", "direction"),
    [
        ("The answer was too long.", "length:brief"),
        ("Your movie list is too long.", "length:brief"),
        ("Here is what I want: shorter answers", "length:brief"),
        ("Rewrite it: no bold.", "format:plain"),
    ],
)
def test_what_is_said_of_the_answer_is_still_heard(text: str, direction: str) -> None:
    assert direction in read(text, answer="**Sure**, here.", previous_user="Hi.").directions


def test_a_thing_that_was_spoken_of_may_be_the_answer() -> None:
    said = "The speech is too long."
    told = read(said, answer="Dear guests, ...", previous_user="Write a speech for a wedding.")
    assert told.directions == ("length:brief",)
    assert read(said, answer="It is 5.", previous_user="What is 2 + 3?").directions == ()
