"""Sincere praise whose words would pass for a complaint: "the best explanation I have read".

Such a clause is taken out before the message is read, where the message opens with praise; the
praise itself stays. English. Praise that means its opposite is `irony`'s matter.
"""

from __future__ import annotations

import re

from align_agent.feedback.irony import PRAISE, ironic
from align_agent.feedback.patterns import alternatives

_OPENS = re.compile(
    rf"^\W*(?:oh,? |that's |this is |much better\b|very {PRAISE}\b|{PRAISE}\b)", re.I
)
_MEANT = re.compile(
    r"(?<![\w'])(?:"
    + alternatives(
        r"""
        (?:this|that|it)(?:'s| is| was) (?:by far )?the (?:best|clearest|nicest|finest
        |most \w+) (?:\w+ )?\w+ (?:that )?i(?:'ve| have)(?: ever)? (?:read|seen|had|heard|got) |
        how (?:well|nicely|clearly|beautifully) you \w+(?: (?:this|that|it|everything|things))? |
        (?:this|that|it)(?:'s| is| was) (?:exactly )?(?:the missing (?:piece|part|link|bit)
        |what i (?:was missing|missed)) |
        now i (?:finally )?(?:understand|see|know|get it) (?:why|what|how|where) [\w' ]+ |
        i(?:'ll| will) (?:use|take|try|keep|go with) (?:the|your|this|that) [\w' ]+ |
        not too \w+,? (?:and )?not too \w+ | not so \w+ any ?more |
        no wonder (?:it|that|this)\b[\w' ]* | (?:for )?nothing less than [\w' ]+ |
        (?:this|that|it)(?:'s| is| was) not what i expected,? but great
        """
    )
    + r")(?=\s*(?:[.!\u2026]|$|\n))",
    re.I,
)


def without_praise(message: str) -> str:
    """The message without clauses of praise that would pass for complaints. Any text is taken."""
    said = message.replace("\u2019", "'")
    if not _OPENS.match(said) or ironic(message):
        return message
    found = _MEANT.sub("", said)
    return found if len(found) < len(said) and re.search(r"\w", found) else message
