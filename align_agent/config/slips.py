"""What people get wrong in YAML itself: quotes of a word processor, invisible characters, colons
without a space, indentation. Finds the cause and words the cure; raises nothing, reads no file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import yaml

_OPENING, _CLOSING = "\u201c\u201e\u00ab\u2018\u201a\u201f", "\u201d\u201c\u00bb\u2019\u2018"
_SPACES = {
    "\u00a0": "a non-breaking space", "\u2007": "a figure space", "\u202f": "a narrow space",
    "\u3000": "a full-width space", "\u2003": "an em space", "\u2002": "an en space",
}  # fmt: skip
_INVISIBLE = {
    "\u200b": "a zero-width space", "\u2060": "a word joiner", "\ufeff": "a byte order mark",
    "\u00ad": "a soft hyphen", "\u200e": "a direction mark", "\u200f": "a direction mark",
}  # fmt: skip
_DIRECTION = "\u200e\u200f"
_EDGE = "".join((*_SPACES, *_INVISIBLE, " \t\r\n"))
_IN_SYNTAX = re.compile(rf"^[ \t]*(?:- *)*(?:[\w.]+[ \t]*:[ \t]*)?([{''.join(_SPACES)}])")
_UNSEEN = re.compile(f"[{''.join((*_SPACES, *_INVISIBLE))}]")
_HIDDEN = re.compile(f"[{''.join(_INVISIBLE)}]")
_NO_SPACE = re.compile(r"^\s*(?:- )?([A-Za-z_]+)\s*(?::(?=[^\s:/])|\uff1a|=(?!=))\s*(\S.*)")
_TWO_COLONS = re.compile(r"^\s*(?:- )?([\w.]+): +([^\s\"'\[{#|>&*][^#]*:(?: .*|))$")
_BULLET = re.compile(r"^[-\u2013\u2014\u2022\u00b7*\u2010\u2011](?![-\d])\s*")
_INNER_APOSTROPHE = re.compile(r"(?<!\w)'[^']*\w'\w")
_BARE_NAME = re.compile(r"^\s*(?:- )?([\w.]+)\s*$")
_STAR = re.compile(r"(?:^|[\s\[,])[*&]\S")
_MARK = "mapping values are not allowed"


def hidden_in(text: str, root: yaml.Node | None) -> tuple[int, str, str] | None:
    """(line, cause, cure) of the first character that cannot be seen and would spoil a setting.
    What stands within a text that YAML knows as one is that text's own."""
    signs = list(text)
    for node in _values(root):
        for place in _its_own(text, node):
            signs[place] = "."
    for number, row in enumerate("".join(signs).splitlines(), 1):
        if found := hidden_at(row):
            return number, *found
    return None


def hidden_at(row: str) -> tuple[str, str] | None:
    """(cause, cure) of such a character in one row, whatever stands around it."""
    if row.lstrip().startswith("#"):
        return None
    if found := _IN_SYNTAX.match(row):
        sign, cause = found[1], _SPACES[found[1]]
    elif hidden := _HIDDEN.search(row.split(" #")[0]):
        sign, cause = hidden[0], _INVISIBLE[hidden[0]]
    else:
        return None
    return f"{cause} (U+{ord(sign):04X}) stands there", "type that line anew, by hand"


def _values(root: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """All texts of a file but the names of settings."""
    import yaml

    left, seen = [root] if root else [], set()
    while left:
        node = left.pop()
        if id(node) in seen:  # a list may hold itself
            continue
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            yield node
        elif isinstance(node, yaml.MappingNode):
            left += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            left += node.value


def _its_own(text: str, node: yaml.ScalarNode) -> Iterator[int]:
    """Where in a text such characters are meant: in quotes and blocks everywhere but at the ends
    of what is quoted; marks of direction also without quotes, between other signs, and everywhere
    beside letters that are written from the right."""
    start, end = node.start_mark.index, node.end_mark.index
    quoted = node.style in ("'", '"')
    if quoted:
        start, end = start + 1, end - 1
    leftwards = any(
        unicodedata.bidirectional(sign) in ("R", "AL")
        for sign in node.value
        if sign not in _DIRECTION
    )
    said = text[start:end]
    first = start + len(said) - len(said.lstrip(_EDGE))
    last = start + len(said.rstrip(_EDGE))
    for found in _UNSEEN.finditer(text, start, end):
        inner = first < found.start() < last
        if found[0] in _DIRECTION:
            own = leftwards or inner
        else:
            own = node.style is not None and (inner or not quoted)
        if own:
            yield found.start()


def wrongly_quoted(node: yaml.Node) -> str:
    """The text between typographic quotes, which YAML takes for letters; empty where none are."""
    import yaml

    if not isinstance(node, yaml.ScalarNode) or node.style is not None:
        return ""
    text = node.value.strip()
    opened, closed = text[:1] in _OPENING, text[-1:] in _CLOSING
    inner = text[1:] if opened else text
    inner = inner[:-1] if closed else inner
    within = any(sign in inner for sign in _OPENING + _CLOSING if sign not in "\u2018\u2019")
    if not text or not (opened or closed) or within:
        return ""
    apostrophe = not opened and text[-1] == "\u2019"  # "the students\u2019"
    return "" if apostrophe else inner.strip()


def pair_of(text: str) -> str:
    """`name: value` for a setting that was written without a space, or with another sign."""
    found = _NO_SPACE.match(text)
    return f"{found[1]}: {found[2].strip()}" if found else ""


def without_bullet(text: str) -> str:
    """The entry of a list whose mark YAML did not know ("-be brief", a dot, a long dash)."""
    bare = _BULLET.sub("", text)
    return bare if bare != text else ""


def cure_of(rows: list[str], line: int, cause: str) -> str:
    """How to mend what is no valid YAML, by the row where it was noticed and the one before."""
    row = rows[line - 1] if 0 < line <= len(rows) else ""
    before = next((one for one in reversed(rows[: line - 1]) if one.strip()), "")
    lead = row[: len(row) - len(row.lstrip())]
    if "\t" in lead or "\\t" in cause or "\t" in cause:
        return "a tab stands there; indent with spaces"
    starred = "expected alphabetic or numeric" in cause and _STAR.search(row)
    if "alias" in cause or "anchor" in cause or starred:
        return "a text that begins with * or & must stand in quotes"
    if "document" in cause:
        return "remove the line `---`; the file holds one document"
    if found := re.search(r"character '([@%`])' that cannot start", cause):
        return f"a text that begins with {found[1]} must stand in quotes"
    for one in (row, before):
        if pair := pair_of(one):
            return f"a colon and a space stand between name and value: `{pair}`"
    if found := _TWO_COLONS.match(row):
        return f'a text with a colon must stand in quotes: {found[1]}: "{found[2].strip()}"'
    if _INNER_APOSTROPHE.search(row):
        return "write an apostrophe between '...' twice, or put the text between \"...\""
    if (found := _BARE_NAME.match(before)) and len(before) - len(before.lstrip()) < len(lead):
        return f"a colon stands after the name of what is indented below it: `{found[1]}:`"
    if _MARK in cause or "block end" in cause:
        return f"indent this line as far as the others of its section (here: {_wanted(before)})"
    if re.search(r"\s#", row or before) and "expected" in cause:
        return "what follows # is a comment; put a text that holds # in quotes"
    return "check the quotes, brackets and indentation of this line and the one before"


def _wanted(before: str) -> str:
    spaces = len(before) - len(before.lstrip())
    return f"{spaces} space{'' if spaces == 1 else 's'}"
