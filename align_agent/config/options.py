"""What one configuration field may hold: its help and its limits. Reads no file."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Option:
    """The help and the limits of one field. `complain` says what is wrong with a value, or "".

    A `secret` is shown nowhere and stands in no record.
    """

    help: str
    kind: str
    choices: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    check: Callable[[Any], str] | None = None
    secret: bool = False

    def complain(self, value: Any) -> str:
        """Why `value`, already of the right type, is impossible; "" when it is fine."""
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}"
        if isinstance(value, int | float) and not isinstance(value, bool):
            if not math.isfinite(value):
                return "must be a finite number"
            if self.low is not None and value < self.low:
                return f"must be {self.limits()}"
            if self.high is not None and value > self.high:
                return f"must be {self.limits()}"
        return self.check(value) if self.check is not None else ""

    def limits(self) -> str:
        """The limits as a person reads them, such as `from 0 to 1`; "" when there are none."""
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.low is None and self.high is None:
            return ""
        if self.high is None:
            text = f"{self.low:g} or more"
        else:
            text = f"from {_plain(self.low or 0)} to {_plain(self.high)}"
        return text + "".join(f', or "{word}"' for word in self.words)

    def expected(self) -> str:
        """The type as a person reads it."""
        names = {
            "bool": "true or false",
            "int": "a whole number",
            "float": "a number",
            "str": "text",
            "texts": "a list of texts",
            "rules": "a list of rules (texts, or mappings with `text`)",
        }
        return names[self.kind] + "".join(f' or "{word}"' for word in self.words)


def option(
    default: Any,
    help: str,
    *,
    kind: str = "",
    choices: Sequence[str] = (),
    words: Sequence[str] = (),
    low: float | None = None,
    high: float | None = None,
    check: Callable[[Any], str] | None = None,
    secret: bool = False,
) -> Any:
    """A dataclass field with its help and limits. The kind follows from the default.

    `words` are texts that a number may be replaced with, such as "auto".
    """
    kind = (
        kind
        or {bool: "bool", int: "int", float: "float", str: "str", tuple: "texts"}[type(default)]
    )
    spec = Option(help, kind, tuple(choices), tuple(words), low, high, check, secret)
    return field(default=default, metadata={"option": spec})


def option_of(item: Field[Any]) -> Option:
    """The option that a dataclass field was declared with."""
    spec: Option = item.metadata["option"]
    return spec


def _plain(number: float) -> str:
    return str(int(number)) if float(number).is_integer() else f"{number:g}"
