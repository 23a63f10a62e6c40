"""Checks on answers: what passes, what fails, and that nothing empty ever passes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align_agent.directions import DIRECTIONS
from align_agent.errors import InputError
from align_agent.feedback import checks, contents
from align_agent.feedback.checks import CHECKS, run_check, validate_spec
from align_agent.languages import LANGUAGES

PARAMETERS: dict[str, dict[str, Any]] = {
    "max_sentences": {"n": 3},
    "max_words": {"n": 10},
    "min_words": {"n": 1},
    "starts_with": {"text": "a"},
    "ends_with": {"text": "a"},
    "contains": {"text": "a"},
    "avoids": {"text": "a"},
    "language": {"code": "en"},
    "max_paragraphs": {"n": 2},
    "reading_level": {"grade": 6},
}
SPECS = [{"name": name, **PARAMETERS.get(name, {})} for name in CHECKS]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("no_emoji", "Fine ✓ → 3 © 2", "Fine 😊"),
        ("no_emoji", "a:b (c)", "Star ⭐"),
        ("uses_emoji", "Yes 🎉", "Yes :)"),
        ("uses_emoji", "Flag 🇫🇷", "1️ is a digit with a sign"),
        ("no_markdown", "3 * 4 * 5 = 60, see snake_case_name", "**Bold** move"),
        ("no_markdown", "A 5-step way - really", "- one\n- two"),
        ("no_markdown", "Use `x` here", "# Title\ntext"),
        ("no_markdown", "```\n# comment\n- x\n```\nThat is all.", "1. one\n2. two"),
        ("no_markdown", "call __init__ first", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("no_markdown", "Prices: 3.5 or 4.", "some *italic* word"),
        ("uses_markdown", "1) one\n2) two", "one, two"),
        ("no_bold", "- a list\n- only", "a <b>bold</b> word"),
        ("no_list", "**bold** only", "• one\n• two"),
        ("no_heading", "text # not a heading", "Title\n====="),
        ("brief", "It is 16.", "word " * 61),
        ("brief", "Fine. Good. Yes. No. Ok.", "1. 12 + 7 = 19\n2. 19 - 3 = 16"),
        ("steps", "1. 12 + 7 = 19\n2. 19 - 3 = 16", "It is 16."),
        ("steps", "First take 3. Then add 4.", "First place goes to Ann."),
        ("steps", "Add 3: 5 + 3 = 8. So it is 8.", "5 + 3 = 8, so it is 8."),
        ("steps", "Japan is a country. Its capital is Tokyo. So it is Tokyo.", "It is Tokyo."),
        ("warm", "Well done! You are so close.", "Correct."),
        ("warm", "Great question! It is 3.", "That is a greater number."),
        ("neutral_tone", "It is 3.", "It is 3!"),
        ("neutral_tone", "Correct. 😊", "Happy to help. It is 3."),
        ("specific", "The 12 is wrong: it should be 7.", "Incorrect. Please check the work again."),
        ("specific", "The capital is Paris.", "Well done, good work."),
        ("not_specific", "Please check the work again.", 'The word "their" is wrong.'),
        ("no_exclamation", "Fine.", "Fine!"),
        ("code_block_only", "```python\nx = 1\n```", "Here:\n```python\nx = 1\n```"),
        ("code_block_only", "~~~\nx\n~~~", "```python\n```"),
        ("no_emoji", "At 10:30 or 11:45, see std::fire:: in C++", "Done :tada:"),
        ("json", '{"a": [1, 2]}', "Here it is: {}"),
        ("json", '```json\n[{"a": 1}]\n```', '"a string"'),
        ("json", "[1]", "{}"),
        ("json", '{"a": null}', '{"a": 1, "a": 2}'),
        ("json", '{"a": 1.5}', '{"a": NaN}'),
        ("no_apology", "It is 3.", "I apologize, it is 3."),
        ("no_apology", "That is a pity.", "so\u200brry, no"),
        ("no_question", "Is it 3? Yes.", "It is 3. Shall I go on?"),
        ("no_question", "It is 3.", "It is 3. Let me know if you need more!"),
        ("polite", "Thank you for asking: it is 3 o'clock.", "It is 3."),
        ("polite", "Please take the second road on the left.", "Please."),
        ("polite", "You are welcome, it starts at noon.", "Please do not be so stupid about it."),
        ("answer_first", "It is 3, since 1 + 2 = 3.", "Great question! It is 3."),
        ("answer_first", "Paris.", "Let me think about that. It is Paris."),
        ("answer_first", "No: it boils at 100.", "Here is the answer:\nNo."),
        ("answer_first", "Sure signs are fever and a cough.", "Sure, here you go. Fever."),
    ],
)
def test_a_check_tells_good_from_bad(name: str, good: str, bad: str) -> None:
    assert run_check({"name": name}, good)
    assert not run_check({"name": name}, bad)


@pytest.mark.parametrize(
    ("spec", "good", "bad"),
    [
        ({"name": "max_sentences", "n": 2}, "One. Two, e.g. this.", "One. Two. Three."),
        ({"name": "max_sentences", "n": 1}, "It costs 3.50 dollars", "- one\n- two"),
        ({"name": "max_words", "n": 3}, "don't be 3.5", "one two three four"),
        ({"name": "min_words", "n": 2}, "two words", "one"),
        ({"name": "starts_with", "text": "Sure"}, "  sure, it is", "It is, sure"),
        ({"name": "starts_with", "text": ["Yes", "No"]}, "No.", "Maybe."),
        ({"name": "ends_with", "text": "Cheers."}, "It is 3. cheers.\n", "Cheers. It is 3"),
        ({"name": "contains", "text": ["a", "b"]}, "B and A", "only A"),
        ({"name": "avoids", "text": ["certainly", "of course"]}, "Yes.", "Of Course!"),
        ({"name": "language", "code": "de"}, "Das ist nicht der Weg", "This is not the way"),
        ({"name": "language", "code": "en"}, "This is not the way", "Das ist nicht der Weg"),
        ({"name": "language", "code": "ru"}, "Это хорошо", "This is good"),
        ({"name": "language", "code": "zh"}, "这是一本书", "これは本です"),
        ({"name": "language", "code": "ja"}, "これは本です", "这是一本书"),
        ({"name": "language", "code": "en"}, "42", "这是一本书"),
        ({"name": "language", "code": "en"}, "Fine.", "Хорошо."),
        (
            {"name": "max_words", "n": 3},
            "well-known fact indeed",
            "this_is_a_very_long_way_to_talk",
        ),
        ({"name": "max_words", "n": 3}, "这是书", "这是一本非常好的书"),
        ({"name": "max_sentences", "n": 1}, "word " * 40, "word; " * 100),
        (
            {"name": "min_words", "n": 20},
            "every word of this one is new and says a little more than "
            "the one that stood before it did, mostly",
            "word " * 50,
        ),
        ({"name": "contains", "text": "metric"}, "In metric units, 3 km.", "metric"),
        ({"name": "avoids", "text": "delve"}, "Dig deeper.", "de\u200blve"),
        ({"name": "avoids", "text": "of course"}, "Yes.", "of\u00a0 course"),
        ({"name": "avoids", "text": "bad"}, "Good.", "ｂａｄ"),
        ({"name": "json", "keys": ["name"]}, '{"name": "Ann"}', '{"name": ""}'),
        ({"name": "json", "keys": "name"}, '[{"name": 1}]', "[1, 2]"),
        ({"name": "max_paragraphs", "n": 1}, "one\ntwo", "one\n\ntwo"),
        (
            {"name": "reading_level", "grade": 5},
            "The cat sat on the mat. It was warm.",
            "Notwithstanding considerable institutional heterogeneity, implementation proceeded.",
        ),
        (
            {"name": "reading_level", "grade": 5},
            "We go home now.",
            "Notwithstanding. Considerable. Institutional. Heterogeneity. Proceeded. Immediately.",
        ),
        ({"name": "brief", "max_words": 5}, "It is 16.", "It is 16 or so, I think."),
    ],
)
def test_a_check_with_parameters_tells_good_from_bad(
    spec: dict[str, Any], good: str, bad: str
) -> None:
    assert run_check(spec, good)
    assert not run_check(spec, bad)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: str(spec["name"]))
@pytest.mark.parametrize("answer", ["", ".", "  \n", "...", "!?", "😊", "**", "```\n```"])
def test_an_answer_without_a_word_passes_nothing(spec: dict[str, Any], answer: str) -> None:
    assert not run_check(spec, answer)


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"name": "no_emojis"},
        {"name": "max_words"},
        {"name": "max_words", "n": "three"},
        {"name": "max_words", "n": True},
        {"name": "max_words", "n": 3, "m": 4},
        {"name": "no_emoji", "n": 1},
        {"name": "contains", "text": 5},
        {"name": "language", "code": "xx"},
        {"name": "max_words", "n": 0},
        {"name": "max_sentences", "n": -3},
        {"name": "reading_level", "grade": "six"},
        {"name": "json", "keys": 3},
        {"name": "contains", "text": " "},
        {"name": "avoids", "text": ["fine", ""]},
    ],
)
def test_a_wrong_spec_is_refused_with_a_hint(spec: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        validate_spec(spec)
    assert caught.value.hint


def test_an_unknown_check_names_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        validate_spec({"name": "no_emojis"})
    assert "did you mean no_emoji?" in caught.value.hint


@pytest.mark.parametrize("direction", list(DIRECTIONS.values()), ids=lambda d: str(d.key))
def test_every_direction_has_a_valid_check(direction: Any) -> None:
    validate_spec(direction.check)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("no_emoji", "uses_emoji"),
        ("no_markdown", "uses_markdown"),
    ],
)
@given(text=st.text(max_size=200).filter(lambda text: any(c.isalnum() for c in text)))
def test_opposite_checks_never_agree(one: str, other: str, text: str) -> None:
    assert run_check({"name": one}, text) != run_check({"name": other}, text)


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=400), spec=st.sampled_from(SPECS))
def test_any_text_can_be_checked(text: str, spec: dict[str, Any]) -> None:
    assert run_check(spec, text) in (True, False)


@pytest.mark.parametrize(
    "text", ["* ", "1. ", "# ", "`", "```\n", "\n", "| ", "first ", '"', "a= "]
)
def test_a_megabyte_of_anything_can_be_checked(text: str) -> None:
    huge = text * (1_000_000 // len(text))
    for spec in SPECS:
        run_check(spec, huge)


@given(st.text(max_size=200))
def test_sentences_hold_words(text: str) -> None:
    assert all(any(c.isalnum() or c == "_" for c in part) for part in checks.sentences(text))


def test_a_brief_verdict_may_repeat_its_one_equation():
    answer = (
        "How lovely! 34 + 29 = 63, the pupil wrote 53, 63 - 53 = 10. Incorrect. "
        "The mistake is the 53: it should be 34 + 29 = 63. Keep going, you are so close!"
    )
    assert run_check({"name": "brief"}, answer)
    assert not run_check({"name": "steps"}, answer)
    assert run_check({"name": "steps"}, f"{answer} So 63 - 10 = 53.")


# Checks that know the question


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ("She pays 1000 euros for 3 nights.", True),
        ("She pays 1,000 euros for 3 nights.", True),
        ("She pays a lot for 3 nights.", False),
        ("1000 3", False),
        ("For 3 nights she paid 1,000 euros", False),
        ("She pays 10003 euros.", False),
    ],
)
def test_numbers_are_kept_by_saying_something_with_them(answer: str, kept: bool) -> None:
    asked = "For 3 nights she paid 1,000 euros"
    assert run_check({"name": "numbers_kept"}, answer, asked=asked) is kept


def test_without_the_question_no_number_is_missed() -> None:
    assert run_check({"name": "numbers_kept"}, "Fine.")


def test_an_echo_of_the_question_is_no_answer() -> None:
    spec, asked = {"name": "answer_first"}, "What is the capital of France?"
    assert not run_check(spec, "The capital of France. Well, Paris.", asked=asked)
    assert run_check(spec, "The capital of France is Paris.", asked=asked)


# What must hold whatever the text


WORDS = st.lists(st.sampled_from("a to the house runs 12 far-off it's".split()), max_size=60)


@given(WORDS, st.integers(1, 60))
def test_more_room_never_makes_a_text_too_long(words: list[str], n: int) -> None:
    text = " ".join(words)
    for name in ("max_words", "max_sentences", "max_paragraphs"):
        if run_check({"name": name, "n": n}, text):
            assert run_check({"name": name, "n": n + 1}, text)


@given(WORDS, WORDS, st.integers(1, 60))
def test_adding_words_never_makes_a_long_text_short(one: list[str], two: list[str], n: int) -> None:
    text, longer = " ".join(one), " ".join([*one, *two])
    if run_check({"name": "max_words", "n": n}, longer) and any(c.isalnum() for c in text):
        assert run_check({"name": "max_words", "n": n}, text)


@given(st.lists(st.sampled_from(["good", "red", "house", "tree"]), min_size=4, max_size=60))
def test_repeating_the_same_words_adds_little(words: list[str]) -> None:
    assert not run_check({"name": "min_words", "n": 17}, " ".join(words))


@given(st.text(max_size=80), st.text(min_size=1, max_size=12))
def test_a_text_never_both_contains_and_avoids(text: str, phrase: str) -> None:
    if not contents.visible(phrase):
        return
    both = [run_check({"name": name, "text": phrase}, text) for name in ("contains", "avoids")]
    assert both != [True, True]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=8,
    )
)
def test_json_is_what_json_reads(value: Any) -> None:
    text = json.dumps(value)
    good = isinstance(value, dict | list) and bool(value) and any(c.isalnum() for c in text)
    assert run_check({"name": "json"}, text) is good
    assert not run_check({"name": "json"}, f"{text} and more")


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_language_that_can_be_wished_for_can_be_checked(code: str) -> None:
    validate_spec({"name": "language", "code": code})


@given(st.text(alphabet="абвгдежз ", min_size=1, max_size=40).filter(str.strip))
def test_another_script_is_another_language(text: str) -> None:
    assert not run_check({"name": "language", "code": "en"}, text)
    assert run_check({"name": "language", "code": "ru"}, text)


@given(st.text(max_size=60), st.sampled_from(["no_apology", "avoids"]))
def test_invisible_characters_hide_nothing(text: str, name: str) -> None:
    spec = {"name": name} | ({"text": "sorry"} if name == "avoids" else {})
    assert not run_check(spec, f"{text} s\u200bor\u00adry, no")


@given(st.lists(st.sampled_from([*"ab1 *_<>#=-+|.:`~\n", "**", "---", "1.", "```\n", "word"])))
@settings(max_examples=300)
def test_plain_text_is_what_has_no_bold_no_list_no_heading_no_italics_and_no_table(
    parts: list[str],
) -> None:
    answer = "".join(parts)
    bare = checks._INLINE_CODE.sub("", checks.prose(answer))
    decorated = (
        checks.has_bold(answer)
        or checks.has_list(answer)
        or checks.has_heading(answer)
        or bool(checks._ITALIC.search(bare) or checks._TABLE.search(bare))
    )
    assert checks.has_markdown(answer) == decorated


@given(
    st.lists(st.sampled_from(["one", "b" * 21, "under_score_and_more_words", "漢字かな", "x漢"]))
)
def test_a_text_has_as_many_words_as_its_words_have_one_by_one(found: list[str]) -> None:
    assert contents.count_words(found) == sum(contents.count_words([word]) for word in found)
