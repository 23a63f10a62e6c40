"""Declared preferences: what each becomes, and every way in which a person gets them wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from align_agent.config import Config, load_config
from align_agent.config.preferences import declared_rules, shown_rules
from align_agent.errors import ConfigError
from align_agent.feedback.checks import run_check
from align_agent.feedback.declared import load_checked
from align_agent.feedback.profile import Profile, declared_rule
from align_agent.feedback.scope import applying
from align_agent.prompts import with_rules, without_rules
from align_agent.records import Message, Turn
from align_agent.store import Store


@pytest.fixture
def write(tmp_path: Path):
    def written(text: str) -> Path:
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def test_every_kind_of_preference_becomes_a_rule(write) -> None:
    path = write(
        "preferences:\n  style: warm\n  length: at most 2 sentences\n  language: Deutsch\n"
        "  formatting: plain\n  do: [name your sources]\n  dont: [Use slang, no puns]\n"
        "  rules:\n    - {text: Use emoji., scope: 'channel:telegram'}\n"
    )
    config = load_checked(path)
    assert [rule["text"] for _, rule in declared_rules(config.preferences)] == [
        "Be warm and encouraging.",
        "Use at most 2 sentences.",
        "Answer in German.",
        "Write plain text: no bold, no lists, no headings.",
        "name your sources.",
        "Do not use slang.",
        "no puns.",
        "Use emoji.",
    ]


def test_a_preference_that_can_be_checked_has_its_check(write) -> None:
    config = load_checked(write("preferences: {length: at most 2 sentences, language: de}\n"))
    two, german = (declared_rule(rule) for _, rule in declared_rules(config.preferences))
    assert two.check and german.check
    assert not run_check(two.check, "Eins. Zwei. Drei.")
    assert run_check(german.check, "Das ist der Fuchs und er ist nicht zu Hause.")


def test_a_rule_of_a_channel_stands_in_the_prompts_of_that_channel_alone(write) -> None:
    preferences = load_checked(
        write(
            "preferences:\n  rules: [{text: Be brief., scope: 'channel:tele*'}, "
            "{text: Show code., scope: 'python, rust'}, Be kind.]\n"
        )
    ).preferences
    about = "About python, rust: Show code."
    assert shown_rules(preferences, "telegram") == ["Be brief.", about, "Be kind."]
    assert shown_rules(preferences, "chat") == [about, "Be kind."]


def test_a_channels_wish_outweighs_the_general_one_there(write, tmp_path: Path) -> None:
    config = load_checked(
        write(
            "preferences:\n  formatting: plain\n  rules:\n"
            "    - {text: 'Use markdown: lists and bold.', scope: 'channel:mail'}\n"
        )
    )
    with Store.open(tmp_path / "align.db") as store:
        profile = Profile(store, config)
        profile.sync_declared(config.preferences)
        for channel, texts in (
            ("mail", ["Use markdown: lists and bold."]),
            ("chat", ["Write plain text: no bold, no lists, no headings."]),
        ):
            turn = Turn("c", (Message("user", "Hi"),), (), "Hi", "", channel=channel)
            assert [rule.text for rule in applying(profile.rules(), turn)] == texts


WRONG = {
    "a tab": ("preferences:\n\tstyle: warm\n", 2, "tab"),
    "a key twice": ("preferences:\n  style: warm\n  style: neutral\n", 3, "twice"),
    "a text for a list": ("preferences:\n  rules: No emoji.\n", 2, "list"),
    "a text for do": ("preferences:\n  do: be kind\n", 2, "list"),
    "a number in a list": ("preferences:\n  rules:\n    - No emoji.\n    - 7\n", 4, "quotes"),
    "a colon in a text": ("preferences:\n  rules:\n    - No lists: never\n", 3, "quotes"),
    "a key of a rule twice": (
        "preferences:\n  rules:\n    - text: a\n      text: b\n", 3, "keep one",
    ),
    "a rule without text": ("preferences:\n  rules:\n    - check: no_emoji\n", 3, "text"),
    "an unknown check": (
        "preferences:\n  rules:\n    - A.\n    - {text: B., check: no_emojis}\n", 4, "no_emoji",
    ),
    "a check without its number": (
        "preferences:\n  rules:\n    - {text: A., check: max_words}\n", 3, "spec",
    ),
    "two against each other": (
        "preferences:\n  formatting: plain\n  rules:\n    - 'Use markdown: lists and bold.'\n",
        4, "remove one",
    ),
    "do and do not": ("preferences:\n  do: [use slang]\n  dont: [use slang]\n", 3, "remove one"),
    "two languages": (
        "preferences:\n  language: German\n  rules:\n"
        "    - {text: Answer in French., check: {name: language, code: fr}}\n",
        4, "one language",
    ),
    "an unknown setting": ("preferences:\n  tone: warm\n", 2, "known here"),
    "a setting in the wrong place": ("model:\n  persona: me\n", 2, "preferences"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_with_line_cause_and_cure(write, name: str) -> None:
    text, line, cure = WRONG[name]
    path = write(text)
    with pytest.raises(ConfigError) as caught:
        load_checked(path)
    assert f"{path} line {line}:" in caught.value.message
    assert caught.value.hint
    assert cure in f"{caught.value.message} {caught.value.hint}"


def test_the_cure_of_a_text_for_a_list_is_what_works(write) -> None:
    with pytest.raises(ConfigError) as caught:
        load_checked(write("preferences:\n  rules: No emoji.\n"))
    cure = caught.value.hint.partition(": ")[2]
    config = load_checked(write(f"preferences:\n  {cure}\n"))
    assert config.preferences.rules == ("No emoji.",)


@given(
    st.recursive(
        st.text(max_size=8) | st.integers() | st.none() | st.booleans(),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_any_value_is_read_or_refused_with_a_line(value) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(yaml.safe_dump({"preferences": {"rules": value}}), encoding="utf-8")
        try:
            assert isinstance(load_config(path), Config)
            load_checked(path)
        except ConfigError as error:
            assert " line " in error.message and error.hint


@given(st.text(max_size=30), st.lists(st.text("ab c.", min_size=1, max_size=9), max_size=3))
def test_rules_come_out_of_a_prompt_as_they_went_in(persona: str, rules: list[str]) -> None:
    head = (Message("system", persona.strip("\n")),) if persona.strip("\n") else ()
    prompt = (*head, Message("user", "Hi"))
    assert without_rules(with_rules(prompt, [rule.strip() or "x" for rule in rules])) == prompt


@pytest.mark.parametrize(
    "pair",
    [
        "- {text: Be brief., check: {name: max_sentences, n: 3}}\n    "
        "- {text: Be thorough., check: {name: min_words, n: 500}}",
        "- {text: Say please., check: {name: contains, text: please}}\n    "
        "- {text: No begging., check: {name: avoids, text: [Please, kindly]}}",
        "- Use markdown.\n    - {text: For a program., check: json}",
    ],
)
def test_two_rules_that_no_answer_can_follow_are_told_with_both_lines(write, pair: str) -> None:
    path = write(f"preferences:\n  rules:\n    {pair}\n")
    with pytest.raises(ConfigError, match=r"line 4: .* contradicts .* line 3"):
        load_checked(path)


def test_a_scope_with_a_typo_is_told_with_its_line(write) -> None:
    path = write("preferences:\n  rules:\n    - {text: Use emoji., scope: 'chanel:telegram'}\n")
    with pytest.raises(ConfigError, match=r"line 3.*chanel") as caught:
        load_checked(path)
    assert "channel:" in str(caught.value.hint)
