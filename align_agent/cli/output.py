"""How results reach a person or a program: JSON, tables, notes, errors. Knows no command.

Results go to standard output, everything else to standard error. Text that people or models wrote
is freed of control characters before a terminal sees it, so that no logged message can move the
cursor or recolour the screen.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from align_agent.display import printable
from align_agent.errors import AlignAgentError

_answered: list[bool] = []  # one entry for each JSON document that this command has printed
_NARROWEST = 12  # columns that a text is cut or wrapped to at least
_READABLE = 16  # the same, while a column that can be spared is there


def paint(text: str, **style: Any) -> str:
    """`click.style`, unless NO_COLOR asks for plain text. Non-terminals are stripped by click."""
    return text if os.environ.get("NO_COLOR") else click.style(text, **style)


def say(text: str = "") -> None:
    """A line of a result, on standard output."""
    click.echo(text)


def note(text: str) -> None:
    """Prose or progress, on standard error."""
    click.echo(text, err=True)


def warn(text: str) -> None:
    click.echo(f"{paint('warning:', fg='yellow')} {printable(text)}", err=True)


def report(error: AlignAgentError) -> None:
    """An error with its way out, on standard error."""
    click.echo(f"{paint('error:', fg='red', bold=True)} {printable(error.message)}", err=True)
    if error.hint:
        click.echo(f"{paint('hint:', fg='cyan')} {printable(error.hint)}", err=True)


def plain(value: Any) -> Any:
    """The value as JSON can hold it: records become objects, paths become text."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    return value


def say_json(value: Any) -> None:
    """The JSON document of this command, on standard output. Lone surrogates, which UTF-8 lacks,
    are escaped."""
    _answered.append(True)
    text = json.dumps(plain(value), ensure_ascii=False, indent=2)
    click.echo(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def fail_json(error: AlignAgentError, code: int) -> None:
    """What failed as the command's JSON document, unless it has printed one already."""
    if not _answered:
        say_json({"error": error.message, "hint": error.hint, "exit_code": code})


def begin() -> None:
    """A new command: it has printed no JSON yet."""
    _answered.clear()


def emit(value: Any, as_json: bool, show: Callable[[], None]) -> None:
    """The value as JSON, or whatever `show` prints for a person."""
    if as_json:
        say_json(value)
    else:
        show()


def width(text: str) -> int:
    """Columns that a terminal needs for one line: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def shorten(text: str, limit: int) -> str:
    """One line of at most `limit` columns; what does not fit ends in an ellipsis."""
    line = " ".join(printable(text).split())
    if width(line) <= limit:
        return line
    kept = ""
    for character in line:
        if width(kept) + width(character) > limit - 1:
            break
        kept += character
    return kept.rstrip() + "…"


def columns() -> int:
    """The width to write for. Without a terminal lines are not cut to 80, only kept in bounds."""
    return shutil.get_terminal_size((160, 24)).columns if sys.stdout.isatty() else 160


def wrapped(text: str, taken: int = 0, most: int = 0) -> list[str]:
    """The text's lines for a terminal, `taken` columns of which are in use: none longer than what
    is left (nor than `most`, if given). In pipes as they are."""
    lines = printable(text).splitlines() or [""]
    if not sys.stdout.isatty():
        return lines
    room = max(_NARROWEST, columns() - taken)
    room = min(room, most) if most else room
    return [part for line in lines for part in broken(line, room)]


def broken(line: str, room: int) -> list[str]:
    """One line in pieces of at most `room` columns."""
    if width(line) <= room:
        return [line]
    # Wide characters take two columns, so a line that holds some is broken at half.
    limit = room if width(line) == len(line) else max(1, room // 2)
    return textwrap.wrap(line, limit, break_on_hyphens=False) or [""]


def prose(text: str, indent: str = "", first: str = "") -> None:
    """A paragraph of a result, its lines indented; `first` stands before the first one."""
    for number, line in enumerate(wrapped(text, width(indent), 88)):
        say(f"{first if first and not number else indent}{line}")


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    flexible: Sequence[int] = (-1,),
    spare: Sequence[str] = (),
) -> None:
    """Print aligned columns, no wider than the terminal.

    Where they do not fit, the columns named in `spare` go, in this order, until the `flexible` ones
    (default the last) can shrink to what is left; where that is not enough, each row is printed as
    names and values.
    """
    if not rows:
        return
    cells = [[" ".join(printable(str(cell)).split()) for cell in row] for row in rows]
    shown = list(range(len(headers)))
    elastic = {index % len(headers) for index in flexible}
    for name in (*spare, ""):
        least = _READABLE if name else _NARROWEST
        widths = _widths(headers, cells, shown, dict.fromkeys(elastic, least))
        if widths is not None:
            break
        if name in headers:
            shown.remove(headers.index(name))
    if widths is None:
        _stacked(headers, cells)
        return
    say(paint(_line([headers[index] for index in shown], widths), bold=True))
    for row in cells:
        fitted = [shorten(row[i], size) for i, size in zip(shown, widths, strict=True)]
        say(_line(fitted, widths))


def _widths(
    headers: Sequence[str], cells: list[list[str]], shown: list[int], elastic: dict[int, int]
) -> list[int] | None:
    """The columns' widths, the widest of the elastic ones (column: least width) shrunk first; None
    where they do not fit."""
    widths = {i: max(width(headers[i]), *(width(row[i]) for row in cells)) for i in shown}
    room = columns() - 2 * (len(shown) - 1)
    while sum(widths.values()) > room:
        widest = max(elastic.keys() & widths.keys(), key=lambda i: widths[i], default=None)
        if widest is None or widths[widest] <= max(elastic[widest], width(headers[widest])):
            return None
        widths[widest] -= 1
    return [widths[i] for i in shown]


def _stacked(headers: Sequence[str], cells: list[list[str]]) -> None:
    for number, row in enumerate(cells):
        if number:
            say()
        pairs([(name, cell) for name, cell in zip(headers, row, strict=True) if cell])


def _line(cells: list[str], widths: list[int]) -> str:
    padded = [cell + " " * (size - width(cell)) for cell, size in zip(cells, widths, strict=True)]
    return "  ".join(padded).rstrip()


def pairs(items: Sequence[tuple[str, object]]) -> None:
    """Print names and values, the values aligned; a value of several lines stays indented."""
    size = max((width(name) for name, _ in items), default=0)
    for name, value in items:
        first, *rest = wrapped(str(value), size + 2)
        say(f"{paint(name.ljust(size), bold=True)}  {first}".rstrip())
        for line in rest:
            say((" " * (size + 2) + line).rstrip())


def when(stamp: str) -> str:
    """A stored UTC moment in the user's own time zone, to the minute; empty stays empty."""
    if not stamp:
        return ""
    from datetime import datetime

    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")
