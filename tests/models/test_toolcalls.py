from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.models.toolcalls import parse_tool_calls

WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
ARGUMENTS = st.dictionaries(WORDS, JSON, max_size=4)


def written(name: str, arguments: object) -> str:
    body = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


@given(st.lists(st.tuples(WORDS.filter(bool), ARGUMENTS), min_size=1, max_size=3))
def test_every_call_that_was_written_is_read_back(calls: list[tuple[str, dict]]) -> None:
    text = "\n".join(written(name, arguments) for name, arguments in calls)
    said, found = parse_tool_calls(text)
    assert said == ""
    assert [(call.name, call.arguments) for call in found] == calls


@given(st.text(max_size=60))
def test_text_that_holds_no_readable_call_comes_back_whole(text: str) -> None:
    said, found = parse_tool_calls("<tool_call>" + text)
    assert found or said == "<tool_call>" + text


@given(st.text(max_size=80).filter(lambda t: "<tool_call>" not in t))
def test_text_without_a_call_is_left_alone(text: str) -> None:
    assert parse_tool_calls(text) == (text, ())


def test_words_before_the_call_are_kept() -> None:
    said, found = parse_tool_calls("Let me see.\n" + written("clock", {}))
    assert said == "Let me see."
    assert found[0].name == "clock"


def test_a_missing_closing_tag_is_forgiven() -> None:
    _, found = parse_tool_calls('<tool_call>{"name": "clock", "arguments": {}}')
    assert [call.name for call in found] == ["clock"]


def test_quoted_arguments_are_read() -> None:
    _, found = parse_tool_calls(written("calculator", '{"expression": "1+1"}'))
    assert found[0].arguments == {"expression": "1+1"}


def test_a_closing_tag_within_an_argument_is_text() -> None:
    _, found = parse_tool_calls(written("say", {"words": "</tool_call>"}))
    assert found[0].arguments == {"words": "</tool_call>"}


def test_one_bad_call_among_good_ones_leaves_all_as_text() -> None:
    text = written("clock", {}) + "\n<tool_call>{oops</tool_call>"
    assert parse_tool_calls(text) == (text, ())


@pytest.mark.parametrize(
    "body",
    [
        "",
        "null",
        "[]",
        '{"name": ""}',
        '{"name": 3}',
        '{"name": "x", "arguments": 3}',
        '{"name": "x", "arguments": "not json"}',
        '{"name": "x", "arguments": {"a": "\\ud800"}}',
        '{"name": "x"} and more',
        "[" * 100_000,
    ],
)
def test_a_call_that_cannot_be_read_is_text(body: str) -> None:
    text = f"<tool_call>{body}</tool_call>"
    assert parse_tool_calls(text) == (text, ())


def test_each_call_gets_an_id_of_its_own() -> None:
    _, found = parse_tool_calls(written("clock", {}) + written("clock", {}))
    assert len({call.id for call in found}) == 2
