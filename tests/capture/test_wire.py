"""Text from outside, made safe."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align_agent.capture.wire import MAX_CHARS, sanitize_text, shorten


@pytest.mark.parametrize("text", ["", " ", "hello", "é🙂\n\t", "a" * MAX_CHARS])
def test_ordinary_text_stays_as_it_is(text):
    assert sanitize_text(text) == text


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b", "\udfff\udfff", "\ud83d\ude00"])
def test_what_cannot_be_stored_is_replaced_sign_by_sign(text):
    safe = sanitize_text(text)
    safe.encode("utf-8")
    assert "\x00" not in safe
    assert len(safe) == len(text)


def test_a_megabyte_of_one_sign_keeps_its_ends_and_says_how_much_is_gone():
    safe = sanitize_text("b" + "a" * 1_000_000 + "c")
    assert len(safe) <= MAX_CHARS
    assert safe[0] == "b"
    assert safe[-1] == "c"
    head, _, rest = safe.partition("\n[... ")
    note, _, tail = rest.partition(" ...]\n")
    left_out = int(note.split()[0].replace(",", ""))
    assert len(head) + len(tail) + left_out == 1_000_002


@given(st.text(st.characters(codec=None)))
@settings(deadline=None)
def test_sanitizing_twice_changes_nothing_more(text):
    once = sanitize_text(text)
    assert sanitize_text(once) == once


@given(st.text(max_size=400), st.integers(64, 300))
@settings(deadline=None)
def test_a_shortened_text_is_never_longer_than_asked(text, limit):
    short = shorten(text, limit)
    assert len(short) <= limit
    assert short == text or len(text) > limit
