"""Telephone numbers as people write them, in the ways of many countries.

Part of the personal data of `patterns.py`. A number without a country's code, a leading 0, brackets
or a word that names it is a number like any other, and stays.
"""

from __future__ import annotations

import re

from align_agent.capture.patterns import Pattern, pattern

_DATE = re.compile(r"\d{2}([-./ ])\d{2}\1(?:19|20)\d{2}")
_BOOK = re.compile(r"isbn(?:-?1[03])?:? ?$", re.IGNORECASE)
_EXTENSION = r"(?: ?(?:x|ext\.?|extension) ?\d{1,5})?"
_END = r"(?![\w]|[.,:/-]\d)"


def _is_phone(match: re.Match[str]) -> bool:
    number: str = re.split("[ex]", match["number"], maxsplit=1)[0]  # without the extension
    return 7 <= sum(1 for sign in number if sign.isdigit()) <= 15


def _is_national(match: re.Match[str]) -> bool:
    """With the 0 of one's own country: no date, no book, not the digits in their order."""
    number = str(match["number"])
    digits = re.sub(r"\D", "", number)
    if not 9 <= len(digits) <= 15 or digits.startswith(("000", "01234567")):
        return False
    before = match.string[max(0, match.start() - 10) : match.start()]
    return not _DATE.match(number) and not _BOOK.search(before)


PHONES: tuple[Pattern, ...] = (
    # With a country's number: +49 170 1234567, +1 (555) 123-4567.
    pattern(
        "phone",
        r"(?<![\w)+])(?<![\d)=] )(?P<number>\+\d{1,3}(?:[ ./-]?\(\d{1,5}\))?(?:[ ./-]?\d){5,13}"
        rf"{_EXTENSION})(?![\w]|[.,]\d)",
        "+",
        _is_phone,
    ),
    # As written in North America: (555) 123-4567, 1-555-123-4567, 555.123.4567x89.
    pattern(
        "phone",
        r"(?<![\w.+-])(?P<number>(?:(?:00)?1[-. ])?(?:\(\d{3}\) ?\d{3}-\d{4}|\d{3}-\d{3}-\d{4}"
        rf"|\d{{3}}\.\d{{3}}\.\d{{4}}){_EXTENSION})(?![\w-]|\.\d)",
        "- .",
        _is_phone,
    ),
    # With the 0 that stands for one's own country: 0171 1234567, 030/1234567, 05 16 46 71 19.
    pattern(
        "phone",
        r"(?<![\w.,+/-])(?P<number>0\d{2,4}[ /-]\d{5,9}|0\d{8,11}"
        r"|0\d{1,4}(?:[ -]\d{2,4}){2,4})" + _END,
        "0",
        _is_national,
    ),
    # With its area in brackets: (0117) 4960080, (49) 0347-0404.
    pattern(
        "phone",
        r"(?<![\w.,+/)-])(?P<number>\(0\d{1,5}\)[ -]?\d{2,8}(?:[ -]\d{2,6}){0,3}"
        r"|\(\d{2}\) ?\d{4,5}-\d{4})" + _END,
        "(",
        _is_phone,
    ),
    # Any number that the words before it call a phone's.
    pattern(
        "phone",
        r"(?P<keep>(?<![^\W_])(?:(?:phone|telephone|tel|mobile|cell|whatsapp|telefon|handy|fax)"
        r"(?: (?:number|no|nr|is))?(?: is)?[.:]{0,2} ?"
        r"|(?:call|text|ring|reach) (?:(?:me|us|him|her|them)(?: at| on| under)?|at|on|under) ))"
        rf"(?P<number>\(?\d(?:[ ()./-]{{0,2}}\d){{6,14}}{_EXTENSION})(?![\w]|[.,]\d)",
        "phone tel mobile cell whatsapp handy fax call text ring reach",
        _is_phone,
        re.IGNORECASE,
    ),
)
