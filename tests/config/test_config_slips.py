"""What people get wrong in YAML itself: each refusal names the line, the cause and the cure."""

from __future__ import annotations

from pathlib import Path

import pytest

from align_agent.config import load_config
from align_agent.config.slips import hidden_at, pair_of, without_bullet
from align_agent.errors import ConfigError
from align_agent.feedback.declared import load_checked

RULE = "preferences:\n  rules:\n    - text: Short.\n      check: "
CASES = [
    # quotes of a word processor
    ("preferences:\n  style: “warm”\n", 2, "typographic quotes", '"warm"'),
    ("preferences:\n  style: „warm“\n", 2, "typographic quotes", '"warm"'),
    ("preferences:\n  style: «warm»\n", 2, "typographic quotes", '"warm"'),
    ("preferences:\n  do: [a, ‘use emoji’]\n", 2, "typographic quotes", '"use emoji"'),
    ("preferences:\n  do:\n    - “be brief, please\n", 3, "typographic quotes", "straight"),
    ("preferences:\n  rules:\n    - text: “No emoji.”\n", 3, "typographic quotes", '"No emoji."'),
    (RULE + "“no_emoji”\n", 4, "typographic quotes", '"no_emoji"'),
    ("preferences:\n  “style”: warm\n", 2, "unknown setting", "did you mean `style`"),
    # what cannot be seen
    ("preferences:\n\u00a0\u00a0style: warm\n", 2, "non-breaking space (U+00A0)", "anew"),
    ("preferences:\n  style:\u00a0warm\n", 2, "non-breaking space (U+00A0)", "anew"),
    ("preferences:\n  do:\n    -\u00a0use emoji\n", 3, "non-breaking space (U+00A0)", "anew"),
    ("preferences:\n  style: warm\u200b\n", 2, "zero-width space (U+200B)", "anew"),
    ("preferences:\n  \ufeffstyle: warm\n", 2, "byte order mark (U+FEFF)", "anew"),
    ("preferences:\n\tstyle: warm\n", 2, "no valid YAML", "a tab stands there"),
    ("preferences:\n  style:\twarm: x\n", 2, "no valid YAML", "a tab stands there"),
    ("preferences:\n  style:\u00a0warm\n  length: brief\n", 2, "non-breaking space", "anew"),
    ("model:\n  base: 'pocket\u200b'\n", 2, "zero-width space (U+200B)", "anew"),
    ("preferences:\n  style: warm\u200e\n", 2, "a direction mark (U+200E)", "anew"),
    ("preferences:\n  sty\u00adle: warm\n", 2, "a soft hyphen (U+00AD)", "anew"),
    # colons
    ("preferences\n  style: warm\n", 2, "no valid YAML", "`preferences:`"),
    ("model:\n  base: pocket\npreferences\n  style: warm\n", 4, "no valid YAML", "`preferences:`"),
    ("preferences:\n  style:warm\n", 2, "must hold settings", "`style: warm`"),
    ("preferences:\n  style = warm\n", 2, "must hold settings", "`style: warm`"),
    ("preferences:\n  style：warm\n", 2, "must hold settings", "`style: warm`"),
    ("preferences:\n  style:warm\n  length: brief\n", 3, "no valid YAML", "`style: warm`"),
    ("preferences:\n  style: warm: very\n", 2, "no valid YAML", 'style: "warm: very"'),
    ("preferences:\n  do:\n    - Note: be brief\n", 3, "a mapping, not a text", "in quotes"),
    # indentation and lists
    ("preferences:\n  style: warm\n   length: brief\n", 3, "no valid YAML", "2 spaces"),
    ("preferences:\n  style: warm\n length: brief\n", 3, "no valid YAML", "2 spaces"),
    ("preferences:\nstyle: warm\n", 2, "unknown setting", "section `preferences`"),
    ("preferences:\n  do: use emoji\n", 2, "a list of texts", 'do: ["use emoji"]'),
    ("preferences:\n  do:\n    -use emoji\n", 3, "a list of texts", "`- use emoji`"),
    ("preferences:\n  do:\n    • use emoji\n", 3, "a list of texts", "`- use emoji`"),
    ("preferences:\n  do:\n    – use emoji\n", 3, "a list of texts", "`- use emoji`"),
    # signs with a meaning of their own
    ("preferences:\n  do: ['don't shout']\n", 2, "no valid YAML", "apostrophe"),
    ("preferences:\n  style: 'it's warm'\n", 2, "no valid YAML", "apostrophe"),
    ("privacy:\n  ignore:\n    - *off*\n", 3, "no valid YAML", "must stand in quotes"),
    ("preferences:\n  do: [say #1 first]\n", 3, "no valid YAML", "follows # is a comment"),
    ("feedback:\n  owners: [@me]\n", 2, "no valid YAML", "begins with @"),
    ("preferences:\n  style: warm\n  style: cold\n", 3, "given twice", "keep one"),
    # types
    ("feedback:\n  auto_accept: 'yes'\n", 2, "true or false", "without quotes"),
    ('feedback:\n  auto_accept: "true"\n', 2, "true or false", "without quotes"),
    ("feedback:\n  min_confidence: 0,6\n", 2, "a number", "min_confidence: 0.6"),
    ("preferences:\n  dont: [no]\n", 2, "yes/no", '"no"'),
    # checks
    (RULE + "max_word\n", 3, "no check named 'max_word'", "did you mean max_words?"),
    (RULE + "max_words\n", 3, "takes n", "{name: max_words, n: 3}"),
    (RULE + "{name: max_words, n: few}\n", 3, "n must be a whole number, not 'few'", "n: 3"),
    (RULE + '{name: max_words, n: "40"}\n', 3, "n must be a whole number", "without quotes"),
    (RULE + "{name: max_words, n: yes}\n", 3, "not True", "{name: max_words, n: 3}"),
    (RULE + "{name: contains, text: 3}\n", 3, "text must be a text", 'text: "Hello"'),
    (RULE + "{name: json, keys: 3}\n", 3, "keys must be a text or a list", "keys: [answer]"),
    (RULE + "{name: language, code: german}\n", 3, "knows no 'german'", "code: de"),
    ("preferences:\n  do: [use emoji]\n  dont: [use emoji]\n", 3, "contradicts", "remove one"),
]


@pytest.fixture
def write(tmp_path: Path):
    def written(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_bytes(text.encode())
        return path

    return written


@pytest.mark.parametrize(("text", "line", "cause", "cure"), CASES)
def test_a_slip_is_told_with_line_cause_and_cure(write, text, line, cause, cure) -> None:
    with pytest.raises(ConfigError) as caught:
        load_checked(write(text))
    assert f"line {line}:" in caught.value.message
    assert cause in caught.value.message
    assert cure in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffpreferences:\n  style: warm\n",
        "preferences:\r\n  style: warm\r\n",
        "preferences:\n  style: warm # “nice”\u200b\n",
        "# \u00a0a comment\npreferences:\n  style: warm\n",
    ],
)
def test_marks_line_ends_and_comments_of_other_programs_do_no_harm(write, text: str) -> None:
    assert load_config(write(text)).preferences.style == "warm"


@pytest.mark.parametrize(
    "text",
    [
        "Never say “no”.",
        "“Yes” and “no” alone are fine.",
        "Write the students’ names",
        "don’t shout",
        "Say 5\u00a0km, not 5km",
        "Put 👩‍💻 first",
    ],
)
def test_quotes_and_spaces_within_a_wish_are_its_own(write, text: str) -> None:
    assert load_config(write(f"preferences:\n  do:\n    - {text}\n")).preferences.do == (text,)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ('"مرحبا\u200f!"', "مرحبا\u200f!"),
        ("مرحبا!\u200f", "مرحبا!\u200f"),
        ("'Donau\u00addampf'", "Donau\u00addampf"),
        (
            "|\n    Note:\u00a0be brief\n    \u00a0and kind\n",
            "Note:\u00a0be brief\n\u00a0and kind\n",
        ),
        (">\n    Note:\u00a0brief\n", "Note:\u00a0brief\n"),
    ],
)
def test_what_cannot_be_seen_within_a_text_is_its_own(write, written: str, meant: str) -> None:
    config = load_config(write(f"preferences:\n  persona: {written}\n"))
    assert config.preferences.persona.strip() == meant.strip()


def test_a_row_of_blanks_is_read_step_by_step() -> None:
    # With two ways to part the blanks this would not end within the day.
    assert hidden_at(" " * 2_000_000 + "x") is None


def test_typographic_quotes_within_straight_ones_are_meant(write) -> None:
    config = load_config(write('preferences:\n  do: ["“Sir”"]\n'))
    assert config.preferences.do == ("“Sir”",)


def test_a_space_that_does_not_break_is_a_space_within_a_setting(write) -> None:
    config = load_checked(write("preferences:\n  length: at most\u00a02 sentences\n"))
    assert config.preferences.length == "at most\u00a02 sentences"


def test_lists_that_hold_each_other_end_in_a_refusal(write) -> None:
    with pytest.raises(ConfigError):
        load_config(write("preferences:\n  rules: &a [[*a]]\n"))


@pytest.mark.parametrize("text", ["http://a.example/x", "style: warm", "just words", "a == b"])
def test_what_is_no_slip_is_left_alone(text: str) -> None:
    assert pair_of(text) == ""


@pytest.mark.parametrize("text", ["-5 degrees", "well-known", "- x - y", "--flag"])
def test_a_hyphen_that_begins_no_entry_is_left_alone(text: str) -> None:
    assert without_bullet(text) in ("", "x - y")
