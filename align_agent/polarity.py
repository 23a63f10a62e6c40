"""Whether a wish asks for something or forbids it, and what it is about. Pure functions of texts.

Reads the first words, where people put it: "Never ...", "No ...", "In mails, please don't ...",
"Keine ...". English first, the commonest words of some other languages beside it.
"""

from __future__ import annotations

import re

from align_agent.records import RulePolarity

_APOSTROPHES = str.maketrans("\u2019\u02bc\u00b4`", "''''")
# What says nothing of the matter itself.
_LEAD = re.compile(
    r"(?:(?:please|ok(?:ay)?|and|also|just|from now on|in (?:the )?future|next time|always|bitte"
    r"|ab jetzt|immer|toujours|siempre|sempre)\b[\s,:]*)+",
    re.I,
)
# "In mails, ...": under which condition it counts.
_WHEN = re.compile(
    r"(?:in|for|with|when(?:ever)?|if|on|about|bei|f\u00fcr|wenn)\b[^,:.!?]{1,60}[,:]\s*", re.I
)
_NEGATIONS = (
    r"no(?: more)?|nothing|not|never|without|kein\w{0,2}|nicht|nie(?:mals)?|ohne|pas de|jamais|sans"
    r"|nunca|sin|non|senza|n\u00e3o|sem|geen|nooit|niet|zonder"
)
_FORBIDS = re.compile(
    rf"(?:(?:you )?(?:should|must|may|can) (?:not|never)|(?:you )?(?:shouldn't|mustn't|can't)"
    rf"|(?:i )?(?:don'?t|do not)(?: ever)?(?: (?:want|like|need)\b(?: (?:you )?to\b)?)?"
    rf"|i (?:hate|dislike)|avoid|stop|quit|omit|skip|leave out|refrain from"
    rf"|vermeide|lass|\u00e9vite|evita|evite|vermijd|{_NEGATIONS}"
    # "Use no emoji", "Schreib keine Listen", "Answer without lists".
    rf"|(?:use|write|answer|reply|respond|give|make|put|include|add|schreib\w*|benutz\w*"
    rf"|verwend\w*|antwort\w*)(?: me| with| mir| bitte)? (?:{_NEGATIONS}))"
    # "No, use lists" and "Nie!" forbid nothing that is named.
    r"\b(?!\s*[,;:.!?]|\s*\Z)\s*",
    re.I,
)
_USING = re.compile(r"(?:us(?:e|ing)|includ(?:e|ing)|any)\s+", re.I)


def polarity_of(text: str) -> RulePolarity:
    """`dont` for a wish that forbids, else `do`. Takes any text."""
    return parted(text)[0]


def parted(text: str) -> tuple[RulePolarity, str]:
    """(polarity, matter): two wishes of one matter and different polarity are opposites.

    The matter is what is left without the words that ask or forbid, its condition before it.
    """
    rest = " ".join(text.translate(_APOSTROPHES).split())
    rest = rest[_end(_LEAD, rest) :]
    when = rest[: _end(_WHEN, rest)]
    rest = rest[len(when) :]
    rest = rest[_end(_LEAD, rest) :]
    forbidding = _end(_FORBIDS, rest)
    rest = rest[forbidding:]
    rest = rest[_end(_USING, rest) :]
    return ("dont" if forbidding else "do"), f"{when}{rest}"


def _end(pattern: re.Pattern[str], text: str) -> int:
    """Where the pattern ends that begins the text; 0 where it does not."""
    match = pattern.match(text)
    return match.end() if match else 0
