"""The agent's own tools: a calculator and a clock. Pure functions of text; no model, no network.

Every failure comes back as text that starts with `error:`, because the model has to read it.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from typing import Any

from align_agent.prompts import TOOL_SCHEMAS

Number = Any  # a Fraction, or a float where a root or a power is none

MAX_EXPRESSION = 300
MAX_EXPONENT = 1_000
MAX_DIGITS = 200

SCHEMAS: list[dict[str, Any]] = list(TOOL_SCHEMAS)


class _CalcError(ValueError):
    """What is wrong with an expression, in words for the model."""


def calculator(expression: str) -> str:
    """The value of an arithmetic expression, exact where it is a fraction of whole numbers.

    Knows + - * / // % **, parentheses, sqrt, abs, round, min and max. Whole results come without
    a decimal point, others with up to 12 significant digits. Errors come back as text.
    """
    text = _normalised(expression)
    if not text:
        return "error: the expression is empty"
    if len(text) > MAX_EXPRESSION:
        return f"error: the expression is longer than {MAX_EXPRESSION} characters"
    try:
        tree = ast.parse(text, mode="eval")
        return _shown(_value(tree.body, text))
    except _CalcError as problem:
        return f"error: {problem}"
    except ZeroDivisionError:
        return "error: division by zero"
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return "error: not an arithmetic expression"
    except (OverflowError, TypeError):
        return "error: the result is not a number that can be written"


def clock() -> str:
    """The local date and time, for instance `Tuesday 3 March 2026, 14:05 (UTC+01:00)`."""
    moment = datetime.now().astimezone()
    offset = moment.strftime("%z")
    return f"{moment:%A} {moment.day} {moment:%B %Y, %H:%M} (UTC{offset[:3]}:{offset[3:5]})"


TOOLS: dict[str, Callable[..., str]] = {"calculator": calculator, "clock": clock}


def schemas_for(names: Sequence[str]) -> list[dict[str, Any]]:
    """The schemas of the tools with these names, in the order of `SCHEMAS`."""
    return [schema for schema in SCHEMAS if schema["function"]["name"] in names]


def call(name: str, args: Mapping[str, Any] | None = None) -> str:
    """Run one tool. Never raises: an unknown tool or a bad argument is an `error:` text."""
    if name not in TOOLS:
        return f"error: there is no tool {name!r}; there are {', '.join(sorted(TOOLS))}"
    if args is not None and not isinstance(args, Mapping):
        return "error: the arguments must be an object"
    given = dict(args or {})
    wanted = set(_parameters(name))
    missing, unknown = wanted - given.keys(), given.keys() - wanted
    if missing or unknown:
        what = ", ".join(sorted(wanted)) or "no arguments"
        return f"error: {name} takes {what}"
    try:
        return TOOLS[name](**{key: str(value) for key, value in given.items()})
    except Exception as problem:  # a tool may never end the turn
        return f"error: {name} failed: {type(problem).__name__}"


def _parameters(name: str) -> list[str]:
    for schema in SCHEMAS:
        if schema["function"]["name"] == name:
            return list(schema["function"]["parameters"]["properties"])
    return []


_SYMBOLS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "^": "ᴾ"})


def _normalised(expression: str) -> str:
    text = str(expression).translate(_SYMBOLS).replace("ᴾ", "**").strip().rstrip("=").strip()
    if not re.search(r"[a-z]\w*\(", text):  # a comma inside a call parts its arguments
        text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    return re.sub(r"(?<=\d)\s*[xX]\s*(?=[\d(])", "*", text)


_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sqrt": lambda value: _root(value),
    "abs": abs,
    "round": lambda value, places=Fraction(0): _rounded(value, places),
    "min": min,
    "max": max,
}


def _value(node: ast.expr, text: str) -> Number:
    match node:
        case ast.Constant(value=(int() | float()) as number) if not isinstance(number, bool):
            return _literal(number, ast.get_source_segment(text, node) or "")
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner, text)
        case ast.UnaryOp(op=ast.UAdd(), operand=inner):
            return _value(inner, text)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _bounded(_power(_value(left, text), _value(right, text)))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _bounded(_BINARY[type(op)](_value(left, text), _value(right, text)))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _bounded(_FUNCTIONS[name](*(_value(arg, text) for arg in args)))
    raise _CalcError("only numbers, + - * / // % **, sqrt, abs, round, min and max are known")


def _literal(value: int | float, source: str) -> Fraction:
    # From the source text, so that 0.1 + 0.2 is 0.3; never for 1e999999999, which would not end.
    if "e" in source.lower() and (value == 0 or not math.isfinite(value)):
        raise _CalcError("a number is too large or too small")
    return Fraction(source.replace("_", ""))


def _rounded(value: Number, places: Number) -> Fraction:
    if abs(places) > 15:
        raise _CalcError("round takes at most 15 places")
    return Fraction(round(value, int(places)))


def _power(base: Number, exponent: Number) -> Number:
    if abs(exponent) > MAX_EXPONENT:
        raise _CalcError(f"an exponent may be at most {MAX_EXPONENT}")
    if isinstance(exponent, Fraction) and exponent.denominator == 1:
        return base ** int(exponent)
    result = float(base) ** float(exponent)
    if isinstance(result, complex):
        raise _CalcError("the result is not a real number")
    return result


def _root(value: Number) -> Number:
    if value < 0:
        raise _CalcError("the square root of a negative number is not a real number")
    if isinstance(value, Fraction):
        top, bottom = math.isqrt(value.numerator), math.isqrt(value.denominator)
        if top * top == value.numerator and bottom * bottom == value.denominator:
            return Fraction(top, bottom)
    return math.sqrt(value)


def _bounded(value: Any) -> Number:
    if isinstance(value, Fraction):
        size = max(value.numerator.bit_length(), value.denominator.bit_length())
        if size > MAX_DIGITS * 4:
            raise _CalcError("the result is too long to write out")
        return value
    if isinstance(value, int):
        return Fraction(value)
    if not isinstance(value, float) or not math.isfinite(value):
        raise _CalcError("the result is not a finite number")
    return value


def _shown(value: Number) -> str:
    if isinstance(value, Fraction) and value.denominator == 1:
        return str(value.numerator)
    number = float(value)
    if number == int(number) and abs(number) < 1e15:
        return str(int(number))
    return f"{number:.12g}"
