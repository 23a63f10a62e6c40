"""Making any Python text storable. Knows nothing of messages or redaction."""

from __future__ import annotations

import re

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
REPLACEMENT = "\ufffd"


def storable(text: str) -> str:
    """The text without NUL and lone surrogates, each replaced by U+FFFD.

    UTF-8 cannot hold a surrogate, and NUL ends a text early in C programs, SQLite's own
    functions among them.
    """
    if "\x00" in text:
        text = text.replace("\x00", REPLACEMENT)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return _LONE_SURROGATE.sub(REPLACEMENT, text)
    return text
