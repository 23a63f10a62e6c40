"""Passwords and tokens that are given to a name: `password=hunter2`, `"api_key": "..."`.

Such a line may as well be program text (`password = input()`) or prose ("Password: must be
long"), so the value decides. Known keys of known makers are found in `patterns.py`.
"""

from __future__ import annotations

import re

_WORD = (
    r"(?P<word>password|passwort|passwd|passphrase|pwd|secret[_ -]?access[_ -]?key|secret[_ -]?key"
    r"|client[_ -]?secret|secret|api[_ -]?key|access[_ -]?key|private[_ -]?key|encryption[_ -]?key"
    r"|account[_ -]?key|access[_ -]?token|auth[_ -]?token|refresh[_ -]?token"
    r"|session[_ -]?token|token)"
)
# The quotes may be escaped: JSON within a text of JSON.
ASSIGNMENT = re.compile(
    _WORD + r"(?P<sign>\\{0,2}[\"']?[ \t]{0,8}(?::=|=>|[:=])[ \t]{0,8}"
    r"|(?:[ \t](?:for|of|to|für)[ \t][^\n.:;=?!\"']{1,40}?)?[ \t]{1,4}(?:is|ist|lautet|to|auf)"
    r"[: \t]{1,4})"
    r"(?:(?P<quote>\\{0,2}[\"'])(?P<literal>[^\"'\\\n]{1,400})(?P=quote)"
    r"|(?P<bare>[^\s\"'`,;)\]}<>\[({&|\\]{1,400}))",
    re.IGNORECASE,
)
HINTS = ("passw", "passphrase", "pwd", "secret", "key", "token")

_STRONG = re.compile(r"(?:password|passwort|passwd|passphrase|pwd)", re.IGNORECASE)
_NAME = re.compile(_WORD, re.IGNORECASE)
_PLACEHOLDER = re.compile(
    r"(?:none|null|nil|true|false|undefined|str|string|text|bool|int|bytes|optional|required"
    r"|changeme|example|placeholder|password|passwort|passwd|pwd|secret|token|your.*"
    r"|my.?(?:password|secret|token|key)|x{3,}|\*+|\.+|-+|_+|\$.*|%.*|<.*|\{.*|\[redacted:.*)",
    re.IGNORECASE,
)
_IDENTIFIER = re.compile(r"[A-Za-z_]+(?:\.[A-Za-z_]+)*")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{8,}")


def kind_of(word: str) -> str:
    """What is said of the secret: "password" or "token"."""
    return "password" if _STRONG.fullmatch(word) else "token"


def secret_span(match: re.Match[str]) -> tuple[int, int] | None:
    """Where the secret stands in the searched text; None when the match holds none."""
    strong = kind_of(match["word"]) == "password"
    if match["literal"] is not None:
        return match.span("literal") if _is_literal(match["literal"], strong) else None
    start, end = match.span("bare")
    value = match["bare"].rstrip(".:!?")
    end = start + len(value)
    return (start, end) if _is_bare(match, value, strong) else None


def secret_by_name(name: str, value: str) -> str:
    """What kind of secret a value is that stands under this name in a mapping; "" for none."""
    found = list(_NAME.finditer(name))
    if not found or found[-1].end() != len(name):
        return ""
    kind = kind_of(found[-1]["word"])
    return kind if _is_literal(value, kind == "password") else ""


def _is_literal(value: str, strong: bool) -> bool:
    """A text in quotes: nearly any for a password, a long word with a digit for a token."""
    if _PLACEHOLDER.fullmatch(value):
        return False
    if strong:
        return len(value) >= 3 and (" " not in value or _mixed(value))
    return len(value) >= 8 and " " not in value and _mixed(value)


def _is_bare(match: re.Match[str], value: str, strong: bool) -> bool:
    following = match.string[match.end("bare") : match.end("bare") + 1]
    if _PLACEHOLDER.fullmatch(value) or following in ("(", "["):
        return False  # a placeholder, a call or an index
    sign = match["sign"]
    spoken = re.search(r"[a-z]", sign, re.IGNORECASE) is not None
    if not strong:
        # "The secret is x^2+3=7": what is merely said must look like a key.
        long_enough = len(value) >= (16 if spoken else 8)
        return long_enough and _TOKEN.fullmatch(value) is not None and _mixed(value)
    if sign != "=":
        # Spaces, a colon or "is": prose and program text look like this too.
        return len(value) >= 5 and _mixed(value)
    if _IDENTIFIER.fullmatch(value) and (_in_call(match) or "." in value):
        return False  # connect(user=name, password=entered), password=args.password
    return len(value) >= 3


def _in_call(match: re.Match[str]) -> bool:
    """Whether the assignment is an argument within brackets: `f(a, password=b)`."""
    text = match.string
    start = match.start()
    while start > 0 and (text[start - 1].isalnum() or text[start - 1] in "_-"):
        start -= 1
        if match.start() - start > 40:
            return False
    before = text[max(0, start - 2) : start].rstrip()[-1:]
    return before in ("(", ",") and text[match.end() : match.end() + 1] in (")", ",")


def _mixed(value: str) -> bool:
    """Letters with digits or signs among them, as passwords have and words have not."""
    letters = any(sign.isalpha() for sign in value)
    return letters and any(sign.isdigit() or sign in "!@#$%^&*+=?~/" for sign in value)
