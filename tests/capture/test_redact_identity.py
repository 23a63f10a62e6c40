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
        ("Ich wohne Martha-Nowak-Weg 8/2", "Nowak-Weg 8"),
        ("Ship it to 46 Kim Cutting, please.", "46 Kim Cutting"),
        ("They're located at 15-17 Norman Way", "15-17 Norman"),
        ("Vivo en la Calle de Evaristo Villena 495", "Villena 495"),
        ("Via Giuseppe Verdi, 8 a Milano", "Verdi, 8"),
        ("Rua das Flores, 95", "Flores, 95"),
        ("ul. Floriana 72/70", "Floriana 72"),
        ("Prinsengracht 263-2", "gracht 263"),
        ("Call me on 08 8393 3521", "8393 3521"),
        ("my number: 05 16 46 71 19", "46 71 19"),
        ("(0117)4960080", "4960080"),
        ("(859) 882-6143x33851", "882-6143"),
        ("080-7862-5540", "7862-5540"),
        ("07746370643", "7746370643"),
        ("2720-4792-0218-0304", "4792-0218"),
        ("NIE X5429585K", "5429585"),
        ("PRNCLD18H42C130L", "CLD18H42"),
        ("PESEL: 96020214273", "960202"),
        ("74010544089", "740105"),
        ("BSN 071459637", "0714596"),
        ("377.115.524-08", "115.524"),
        ("530909-6229", "0909-62"),
        ("300656-611B", "656-611"),
        ("09200678T790", "00678T7"),
        ("my ID number is 651464970110", "4649701"),
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
        "I live at 5 minutes from the sea.",
        "The address is wrong.",
        "ISBN 0306406152",
        "01-02-2020 10 people came",
        "0123456789abcdef and 0123456789",
        "id 0000012345",
        "74010544088",
        "377.115.524-09",
        "530909-6228",
        "I sent it to 3 people and 20 Friends",
        "He ran 100 meters in the Via Appia.",
        "call 100 functions at once",
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
