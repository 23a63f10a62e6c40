"""Whether something holds the words of a query, however it was written down.

A text may stand as it was said, within JSON (also JSON within JSON), as percent signs of an
address, as HTML, or in packed bytes. Where no border of a word can be told (packed bytes: what
says how long a text is may look like a letter before it), a word counts inside a longer one too:
rather too much is forgotten than too little.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import unquote

from align_agent.store.search import searchable

_TERM = re.compile(r'"([^"]+)"|([^\s"]+)')
# What the search index takes for a border: all but letters and digits, so also `_`.
_BETWEEN = r"[\W_]+"
_ESCAPE = re.compile(r"\\(?:u([\da-fA-F]{4})|U([\da-fA-F]{8})|x([\da-fA-F]{2})|(.))", re.DOTALL)
_SHORT = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "b": "\b", "v": "\v", "0": "\0"}
_PLAIN = frozenset("\\/\"'")
_DEPTH = 4  # JSON within JSON within JSON


class Words:
    """The terms of a query: words by their beginnings, "quoted phrases" as they are, without
    regard to case, accents, and what stands between the words of a phrase."""

    def __init__(self, query: str) -> None:
        parts = []
        for quoted, word in _TERM.findall(query):
            term = folded(quoted or word)
            # Scripts without spaces, and signs, have no beginnings of words.
            parts.append((_spread(term), searchable(term)))
        self._loose = [re.compile(part) for part, _ in parts]
        self._strict = [re.compile(rf"(?<![^\W_]){p}" if whole else p) for p, whole in parts]

    def __call__(self, text: str) -> bool:
        """Whether a text holds every term, as the search would find it."""
        return _all_in(self._strict, text)

    def in_bytes(self, data: bytes) -> bool:
        """Whether a file, or packed bytes, hold every term."""
        try:
            text = data.decode()
        except UnicodeDecodeError:
            return self.in_packed(data)
        return self.in_packed(data) if "\0" in text else self(text)

    def in_packed(self, data: bytes) -> bool:
        """Whether every term stands somewhere in these bytes, within longer words too."""
        return _all_in(self._loose, data.decode("utf-8", "ignore"))


def _spread(term: str) -> str:
    """A pattern of a folded term: whatever parts its words (spaces, a line's end, a hyphen) may be
    anything else that parts words; signs at its ends stand for themselves."""
    words = re.split(rf"(?<=[^\W_]){_BETWEEN}(?=[^\W_])|\s+", term.strip())
    return _BETWEEN.join(re.escape(word) for word in words)


def _all_in(patterns: list[re.Pattern[str]], text: str) -> bool:
    left = patterns
    if not (text and left):
        return False
    for reading in _readings(text):
        known = folded(reading)
        left = [pattern for pattern in left if not pattern.search(known)]
        if not left:
            return True
    return False


def _readings(text: str) -> Iterator[str]:
    """The text as it stands, and freed of escapes, as often as there are some."""
    for _ in range(_DEPTH):
        yield text
        bare = _ESCAPE.sub(_unescaped, text) if "\\" in text else text
        bare = unquote(bare) if "%" in bare else bare
        bare = html.unescape(bare) if "&" in bare else bare
        if bare == text:
            return
        # JSON writes what lies beyond U+FFFF as two halves.
        text = bare.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    yield text


def _unescaped(found: re.Match[str]) -> str:
    number = found[1] or found[2] or found[3]
    if number:
        code = int(number, 16)
        return chr(code) if code < 0x110000 else " "
    sign = found[4]
    return _SHORT.get(sign) or (sign if sign in _PLAIN else found[0])


def folded(text: str) -> str:
    """Without case and accents, and in the plain form of what has several."""
    if text.isascii():
        return text.lower()
    # Letters of mathematics are capitals only once they are plain.
    apart = unicodedata.normalize("NFKD", text.casefold()).casefold()
    return "".join(
        sign for sign in unicodedata.normalize("NFKD", apart) if not unicodedata.combining(sign)
    )
