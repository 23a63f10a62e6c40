from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from align_agent.cli.output import pairs, say_json, shorten, table, when, width
from align_agent.display import printable, tally

ANY_TEXT = st.text(st.characters(), max_size=200)


@given(ANY_TEXT)
def test_printable_text_cannot_drive_a_terminal(text: str) -> None:
    assert all(c in "\n\t" or unicodedata.category(c) not in {"Cc", "Cs"} for c in printable(text))


@given(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=200))
def test_printable_keeps_ordinary_text(text: str) -> None:
    assert printable(text) == text


def test_printable_keeps_joined_emoji() -> None:
    family = "\N{MAN}\u200d\N{WOMAN}\u200d\N{GIRL}"
    assert printable(family) == family


@pytest.mark.parametrize("turning", "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
def test_printable_breaks_text_that_runs_backwards(turning: str) -> None:
    assert turning not in printable(f"exe.{turning}txt")


@given(ANY_TEXT, st.integers(12, 80))
def test_shortened_text_fits_on_one_line(text: str, limit: int) -> None:
    short = shorten(text, limit)
    assert width(short) <= limit
    assert "\n" not in short


@given(st.dictionaries(ANY_TEXT, ANY_TEXT, max_size=4))
def test_json_output_is_always_readable(value: dict[str, str]) -> None:
    import io
    from contextlib import redirect_stdout

    stream = io.StringIO()
    with redirect_stdout(stream):
        say_json(value)
    stream.getvalue().encode("utf-8")
    json.loads(stream.getvalue())


def test_wide_characters_keep_a_table_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    table(("name", "x"), [("日本", "1"), ("abcd", "2")])
    lines = capsys.readouterr().out.splitlines()
    assert {width(line) for line in lines[1:]} == {7}


def test_an_empty_table_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    table(("name",), [])
    assert capsys.readouterr().out == ""


def test_a_value_of_several_lines_stays_indented(capsys: pytest.CaptureFixture[str]) -> None:
    pairs([("name", "one\ntwo")])
    assert capsys.readouterr().out == "name  one\n      two\n"


@pytest.mark.parametrize("stamp", ["", "not a date"])
def test_a_moment_that_is_none_is_shown_as_it_is(stamp: str) -> None:
    assert when(stamp) == stamp


def test_counters_are_told_in_words() -> None:
    assert (
        tally({"nights_failed": 1, "serving_fallbacks": 1}) == "1 night failed, 1 serving fallback"
    )
    assert tally({"nights_failed": 2000}) == "2,000 nights failed"
    assert tally({}) == ""
