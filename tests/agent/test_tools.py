"""The calculator and the clock: right results, and errors that are text."""

from __future__ import annotations

import re
import string
import time
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from align_agent.agent import tools


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("12 + 7", "19"),
        ("0.1 + 0.2", "0.3"),
        ("1,000 * 3", "3000"),
        ("(1,000 + 5) * 2", "2010"),
        ("2^10", "1024"),
        ("5 x 3 =", "15"),
        ("84 ÷ 12 × 2", "14"),
        ("10 − 3", "7"),
        ("7 / 2", "3.5"),
        ("1/3", "0.333333333333"),
        ("17 // 5 + 17 % 5", "5"),
        ("sqrt(144)", "12"),
        ("sqrt(2)", "1.41421356237"),
        ("round(2.567, 2)", "2.57"),
        ("max(3, 9, 4) - min(3, 9)", "6"),
        ("abs(-3.5)", "3.5"),
        ("-2 ** 2", "-4"),
        ("12345678901234567890 * 10", "123456789012345678900"),
    ],
)
def test_calculator_works_out(expression: str, result: str) -> None:
    assert tools.calculator(expression) == result


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "1/0",
        "7 % 0",
        "9**9**9",
        "1e999999999",
        "1e-999999999",
        "10**1000",
        "round(1, 10**9)",
        "(-8) ** 0.5",
        "sqrt(-1)",
        "max()",
        "hello",
        "1 +",
        "__import__('os').system('true')",
        "().__class__",
        "[1][0]",
        "'a' * 3",
        "True + 1",
        "1 if 1 else 2",
        "x = 3",
        "(" * 250,
        "1" * 400,
        "\ud800",
        "1\x00",
        "3j",
    ],
)
def test_calculator_refuses_in_words(expression: str) -> None:
    assert tools.calculator(expression).startswith("error: ")


@given(st.integers(-(10**9), 10**9), st.sampled_from("+-*"), st.integers(-(10**9), 10**9))
def test_whole_numbers_are_exact(left: int, sign: str, right: int) -> None:
    wanted = {"+": left + right, "-": left - right, "*": left * right}[sign]
    assert tools.calculator(f"({left}) {sign} ({right})") == str(wanted)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_division_is_right_to_twelve_digits(left: int, right: int) -> None:
    found = Fraction(tools.calculator(f"{left} / {right}"))
    assert abs(found - Fraction(left, right)) <= Fraction(left, right) / 10**11


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=60), st.text("0123456789+-*/%().,e^xX sqrtab", max_size=60)))
def test_calculator_never_raises_and_always_ends(expression: str) -> None:
    assert isinstance(tools.calculator(expression), str)


def test_clock_tells_the_present_day() -> None:
    shown = tools.clock()
    assert re.fullmatch(r"\w+day \d{1,2} \w+ \d{4}, \d\d:\d\d \(UTC[+-]\d\d:\d\d\)", shown)
    assert time.strftime("%Y") in shown


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("calculator", {}),
        ("calculator", None),
        ("calculator", {"expression": "1", "extra": 2}),
        ("calculator", [1]),
        ("clock", {"zone": "UTC"}),
        ("nothing", {}),
        ("", {}),
    ],
)
def test_a_wrong_call_is_answered_with_an_error(name: str, arguments: Any) -> None:
    assert tools.call(name, arguments).startswith("error: ")


def test_a_number_is_accepted_where_a_text_is_expected() -> None:
    assert tools.call("calculator", {"expression": 5}) == "5"


def test_every_schema_has_its_tool() -> None:
    assert {schema["function"]["name"] for schema in tools.SCHEMAS} == set(tools.TOOLS)


def test_schemas_keep_their_order_whatever_is_asked_for() -> None:
    found = tools.schemas_for(["clock", "calculator"])
    assert [schema["function"]["name"] for schema in found] == ["calculator", "clock"]


@given(st.text(string.printable, max_size=30), st.dictionaries(st.text(max_size=5), st.integers()))
def test_calls_never_raise(name: str, arguments: dict[str, int]) -> None:
    assert isinstance(tools.call(name, arguments), str)
