"""Idioms that look like standing wishes ("never mind", "don't worry"), and questions given up.

"Never mind, I'll do it myself" asks for no rule; that the user gave up is weak evidence against the
answer. English. What follows from it is `reader`'s matter.
"""

from __future__ import annotations

import re

from align_agent.feedback.mention import find_concepts
from align_agent.feedback.patterns import alternatives
from align_agent.feedback.text import normalise

# Up to the end of a clause: "never mind the bold" and "no need for emoji" are wishes.
_IDIOM = re.compile(
    r"(?<![\w'])(?:(?:oh|ok|okay|well|please|ah|no|but|and|so),? ){0,3}(?:"
    + alternatives(
        r"""
        never ?mind(?: (?:me|that|it|this|then))?(?: then)? | nvm | do(?:n't| not) (?:you )?(?:worry
        |bother|mind(?: me)?|sweat it|fret)(?: (?:about|with) (?:it|that|this))?(?: then| please)? |
        no worries | no need(?: to worry)? | no problem | forget (?:it|that|about it|about that) |
        do(?:n't| not) get me wrong | never say never | (?:you|one) never knows? |
        better late than never | now or never | always (?:welcome|a pleasure) |
        (?:same )?as (?:always|ever) | never in doubt | always good to know | no wonder
        """
    )
    + r")(?=\s*(?:[,.!?;:\u2026\u2013\u2014)-]|$|\n))",
    re.I,
)
# "Never mind the weather": a wish only where a matter of style is named.
_IDIOM_WITH = re.compile(
    r"(?<![\w'])(?:never ?mind|never worry|do(?:n't| not) (?:you )?(?:worry|bother|mind)"
    r"|forget)(?: (?:about|with))? (?!it\b|that\b)((?:[\w']+ ?){1,5})"
    r"(?=\s*(?:[,.!?;:\u2026]|$|\n))",
    re.I,
)
_GAVE_UP = re.compile(
    r"\b(?:"
    + alternatives(
        r"""
        never ?mind | nvm | forget (?:it|that|about it) | do(?:n't| not) bother | i g[ia]ve up |
        i(?:'ll| will| can| am going to|'d better)(?: just| rather)? (?:do|find|write|fix|make|solve
        |work|calculate|handle) (?:it|this|that|them)(?: out)?(?: all)? (?:myself|by myself
        |on my own) |
        i(?:'ll| will)(?: just| rather)? (?:ask (?:some(?:one|body) else|elsewhere)
        |google (?:it|that)|look (?:it|that) up(?: myself)?|look elsewhere
        |figure (?:it|that|this) out(?: myself)?)
        """
    )
    + r")\b",
    re.I,
)
# It was not the answer's fault that they need no more of it.
_SETTLED = re.compile(
    r"\b(?:found (?:it|one|out)|got it|figured|solved|sorted|works?|worked|done|thank|thx"
    r"|my (?:mistake|fault|bad)|i (?:meant|misread|see|was wrong)|understand|clear now|later"
    r"|tomorrow|no longer need|do(?:n't| not) need|let's|let us|(?:tell|give|show) me|instead)",
    re.I,
)
MAX_WORDS = 16


def without_idioms(message: str) -> str:
    """The message without idioms that would pass for wishes."""
    found = _IDIOM.sub("", message.replace("\u2019", "'"))
    found = _IDIOM_WITH.sub(lambda m: m[0] if find_concepts(normalise(m[1])) else "", found)
    if len(found) >= len(message):
        return message
    return found if found.strip(" ,.!?;:\u2026\u2013\u2014-\n") else ""


def gives_up(message: str) -> bool:
    """Whether the user lets the question drop, and nothing says that it was settled."""
    said = _IDIOM_WITH.sub("", message.replace("\u2019", "'"))
    if len(said.split()) > MAX_WORDS or "?" in said:
        return False
    return _GAVE_UP.search(said) is not None and not _SETTLED.search(said)
