"""Street addresses and the numbers by which states know people; and keys of more makers."""

from __future__ import annotations

import pytest
import redaction
from hypothesis import given
from hypothesis import strategies as st

from align_agent.capture.redact import redact


@pytest.mark.parametrize(
    ("text", "private"),
    [
        ("I live at 221 Baker Street, London.", "221 Baker"),
        ("Ship it to 1600 Pennsylvania Ave., Apt 4", "1600 Pennsylvania"),
        ("Ich wohne in der Lindenstraße 12a, 10969 Berlin", "Lindenstraße 12"),
        ("mon adresse: 12 bis, rue de la Paix", "12 bis"),
        ("my SSN is 536-90-4399", "536-90-4399"),
        ("NI number AB 12 34 56 C", "12 34 56"),
        ("DNI 12345678Z", "12345678Z"),
        ("sécu 2 69 05 49 588 157 80", "588 157"),
        ("passport number: X1234567", "X1234567"),
        ("Steuer-ID 12 345 678 901", "345 678"),
    ],
)
def test_who_and_where_somebody_is_goes_by_the_setting(text: str, private: str) -> None:
    assert private not in redact(text, personal=True).text
    assert redact(text, personal=False).text == text


@pytest.mark.parametrize(
    "text",
    [
        "Wall Street fell by 3 percent.",
        "It took 12 years.",
        "Order 12345678A is late.",
        "Call 000-12-3456.",
        "Chapter 5 The Long Road",
        "2024-05-17 and 10-20-3000",
        "the way to 5 stars",
    ],
)
def test_what_looks_like_it_stays(text: str) -> None:
    assert redact(text, personal=True).text == text


@pytest.mark.parametrize("name", redaction.FORMATS)
def test_a_key_of_every_known_maker_is_found_in_chat_code_and_logs(name: str) -> None:
    texts = [row for row in redaction.corpus(11, 1) if row[0] == name]
    missed = [t for _, _, t, secret in texts if not redaction.gone(secret, redact(t, False).text)]
    assert missed == []


@given(st.text(alphabet="ab1 -.:/@+()AStreet,\n", max_size=300))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    once = redact(text, personal=True).text
    assert redact(once, personal=True).text == once
