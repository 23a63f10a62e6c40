"""The lexicon layer: what does the user's next message say about the answer before it?

Words and patterns; no model. Precision first: what is not clearly a complaint or praise is
neutral. `reader` joins it with the words layer. The parts: `text` (own words, clauses), `lexicon`
and `stance` (wishes about style), `complaints` (everything else), and here the verdict on the whole
message.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from align_agent.directions import DIRECTIONS, axis_of
from align_agent.feedback.checks import is_warm, prose, run_check, words
from align_agent.feedback.complaints import (
    Finding,
    code_changes_in,
    complaints_in,
    praises,
)
from align_agent.feedback.faults import Category
from align_agent.feedback.patterns import compiled
from align_agent.feedback.stance import Wish, wishes_in
from align_agent.feedback.text import Clause, clauses, own_words
from align_agent.feedback.vocabulary import STANDING
from align_agent.records import Polarity

MAX_WISH = 200
# Longer messages after a program are new tasks, not changes to it.
MAX_CHANGE_WORDS = 14
# A longer message brings its own matter; a complaint can only stand at its start or its end.
LONG_MESSAGE_CLAUSES = 8

_CATEGORY_OF_AXIS: dict[str, Category] = {
    "format": "format",
    "tone": "tone",
    "emoji": "format",
    "detail": "tone",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a follow-up says about the answer before it.

    `confidence` is 0 to 1; `strength` 1.0 for an outright complaint, 0.5 for a mild one.
    `direction` is the clearest known wish, `directions` all of them. `wish` holds a general wish
    in the user's own words where no direction fits. `evidence` quotes the words it rests on.
    `standing` says that the wish is for all answers to come ("never", "from now on"): it counts
    as a rule even where this answer met it already, and at once against what was asked for often.
    `layers` holds what each layer of the reader thought, `review` why they contradict each other,
    where they do.
    """

    polarity: Polarity
    category: Category
    confidence: float
    strength: float
    direction: str = ""
    evidence: str = ""
    directions: tuple[str, ...] = ()
    wish: str = ""
    standing: bool = False
    layers: dict[str, float] = field(default_factory=dict)
    review: str = ""


NOTHING = Reading("neutral", "none", 0.5, 0.0)


def read(follow_up: str, *, answer: str = "", previous_user: str = "") -> Reading:
    """Read one follow-up. Never raises, whatever the text holds."""
    own = own_words(follow_up, answer=answer, previous_user=previous_user)
    parts = clauses(own)
    if len(parts) > LONG_MESSAGE_CLAUSES:
        parts = [*parts[:2], *parts[-2:]]
    if not parts:
        return NOTHING
    code = _is_code(answer)
    wishes = [
        wish
        for part in parts
        for wish in wishes_in(part)
        if not _praised(part, wish) and not (code and _is_about_code(part, wish))
    ]
    open_wishes = _without_contradictions([w for w in wishes if not _is_met(w, answer)])
    praise = any(praises(part) for part in parts)
    standing = any(STANDING.search(part.text) for part in parts)
    if open_wishes:
        return replace(_of_wishes(open_wishes), standing=standing)
    if wishes:
        met = _without_contradictions(wishes)
        directions = tuple(wish.direction for wish in met)
        return Reading(
            "neutral", "none", 0.7, 0.0, directions[0], met[0].evidence, directions, "", standing
        )
    findings = [found for part in parts for found in complaints_in(part, answer=answer)]
    if code and not findings and len(own.split()) <= MAX_CHANGE_WORDS:
        findings = [found for part in parts for found in code_changes_in(part)]
    if findings:
        return _of_findings(findings, parts, praise)
    general = _general_wish(parts)
    if general:
        return Reading("negative", "not_as_asked", 0.65, 0.5, evidence=general, wish=general)
    if praise and any(_takes_back(part) for part in parts):
        evidence = next(part.original for part in parts if _takes_back(part))
        return Reading("negative", "praise_but", 0.65, 0.5, evidence=evidence[:MAX_WISH])
    if praise:
        evidence = next(part.original for part in parts if praises(part))
        return Reading("positive", "praise", 0.85, 1.0, evidence=evidence[:MAX_WISH])
    return NOTHING


_CODE_START = re.compile(
    r"\A\s*(?:```|~~~|def |class |import |from \w+ import |#!|function |const )"
)
_ABOUT_ANSWER = re.compile(
    r"(?<!\S)(?:bold|bullets?|bullet points?|markdown|headings?|format\w*|explain\w*|explanations?"
    r"|comments?|verbose|concise|wordy|text|answers?|short\w*|long\w*|brief\w*|words?)(?!\S)"
)


def _is_code(answer: str) -> bool:
    """Whether the answer is mainly a program."""
    code_like = _CODE_START.match(answer) is not None
    return code_like and len(prose(answer).split()) <= max(40, len(answer.split()) // 2)


def _is_about_code(clause: Clause, wish: Wish) -> bool:
    """ "Make it a list", said about a program, means its result and not the answer's format."""
    named = _ABOUT_ANSWER.search(clause.text) is not None
    return axis_of(wish.direction) in ("format", "length") and not named


def _praised(clause: Clause, wish: Wish) -> bool:
    """ "Nice and short", "I like that it is brief": the word stands in praise."""
    return (
        not wish.reported
        and not wish.relative
        and praises(clause)
        and not STANDING.search(clause.text)
        and not re.search(
            r"(?<!\S)(?:please|next|use|write|make|give|can|could)(?!\S)", clause.text
        )
    )


_TAKES_BACK = compiled(
    r"""
    i (?:would|was|wanted|want|need|need(?:ed)?) .* | (?:can|could|would) you .* | are you .* |
    seriously .* | not .* | too .* | .* (?:instead|another|different|more)(?:\s.*)?
    """
)


def _takes_back(clause: Clause) -> bool:
    """ "That's great, but could you ...": what follows the "but" is what the user wants."""
    return clause.contrast and _TAKES_BACK.match(clause.text) is not None


def _is_met(wish: Wish, answer: str) -> bool:
    """Whether the answer already did what the wish asks for, so that it is no complaint.

    Only where a check can tell; a fault that was reported, or a comparison, is never met.
    """
    if not answer.strip() or wish.reported or wish.relative:
        return False
    if wish.direction == "length:brief":
        return len(words(prose(answer))) <= 25 and run_check(
            DIRECTIONS[wish.direction].check, answer
        )
    if wish.direction == "tone:neutral":
        return not is_warm(answer) and "!" not in answer
    if axis_of(wish.direction) == "detail":
        return False
    return run_check(DIRECTIONS[wish.direction].check, answer)


def _without_contradictions(wishes: Sequence[Wish]) -> list[Wish]:
    """One wish an axis: the surer one, the later one where they are equally sure."""
    best: dict[str, Wish] = {}
    for wish in wishes:
        axis = axis_of(wish.direction)
        if axis not in best or wish.confidence >= best[axis].confidence:
            best[axis] = wish
    return sorted(best.values(), key=lambda wish: -wish.confidence)


def _of_wishes(wishes: Sequence[Wish]) -> Reading:
    first = wishes[0]
    category: Category
    if axis_of(first.direction) == "length":
        category = "too_long" if first.direction == "length:brief" else "too_short"
    else:
        category = _CATEGORY_OF_AXIS[axis_of(first.direction)]
    return Reading(
        "negative",
        category,
        first.confidence,
        1.0 if first.reported else 0.8,
        first.direction,
        first.evidence,
        tuple(wish.direction for wish in wishes),
    )


def _of_findings(findings: Sequence[Finding], parts: Sequence[Clause], praise: bool) -> Reading:
    first = max(findings, key=lambda found: (found.confidence, found.strength))
    confidence, category = first.confidence, first.category
    if praise:
        confidence -= 0.1
        category = "praise_but" if first.strength < 1.0 else category
    wish = _general_wish(parts)
    return Reading(
        "negative", category, round(confidence, 2), first.strength, "", first.evidence, (), wish
    )


_WISH_START = compiled(
    r"""
    i (?:would )?(?:prefer|like|want|hate) | do not | never | always | stop \w+ing | use | write |
    keep | make | give | answer | start | end | speak | talk | call | avoid | be | try | no more |
    next time | from now on | in (?:the )?future | every time | when(?:ever)? (?:i|you) | less |
    fewer | more | you (?:should|must|need to|can) (?:always|never) | simpler |
    in (?:english|german|french|spanish)
    """
)
_POLITE = re.compile(r"^(?:(?:please|ok|and|also|just|,) )+")
_FOR_LATER = compiled(r"please | from now on | next time | in (?:the )?future | every time")
_REGISTER = re.compile(
    r"(?<!\S)(?:jargon|simpler words|simple words|technical terms|big words)(?!\S)"
)


def _general_wish(parts: Sequence[Clause]) -> str:
    """A wish for all answers to come, in the user's own words; empty where there is none."""
    for part in parts:
        text = part.text.strip(" ,!?")
        standing = STANDING.search(text) or re.match(
            r"^(?:please )?(?:stop|quit) \w+ing(?!\S)", text
        )
        meant = part.opens or _FOR_LATER.search(text)
        if standing and meant and _WISH_START.match(_POLITE.sub("", text)):
            return part.original[:MAX_WISH]
        if _REGISTER.search(text):
            return part.original[:MAX_WISH]
    return ""
