"""Is a word about style wished for, unwelcome, or merely mentioned? One clause at a time.

A clause is a wish ("no bold please"), or tells what the answer was like ("you skipped the steps").
Negation means the opposite in the two: "no steps" is unwelcome in a wish and missed in a report.
Knows nothing of other complaints (a wrong fact, a missing part): those are in `complaints`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from align_agent.feedback import grammar, vocabulary
from align_agent.feedback.mention import (
    Match,
    Mention,
    find_concepts,
    mention,
    names_something_else,
    unknown_words,
)
from align_agent.feedback.text import Clause

MAX_UNKNOWN_WORDS = 2
_DEGREES = ("more", "less", "too")
# A clause of so few words says nothing beside its style word.
_SHORT_CLAUSE = 5


@dataclass(frozen=True, slots=True)
class Wish:
    """One wish about style found in a clause.

    `reported` says that it was told as a fault of the answer ("too long"), which no answer can
    have met already; `relative` the same of a comparison ("shorter").
    """

    direction: str
    confidence: float
    evidence: str
    reported: bool
    relative: bool


def wishes_in(clause: Clause) -> list[Wish]:
    """The wishes about style in one clause, in the order in which they stand."""
    text = " ".join(vocabulary.FILLERS.sub(" ", clause.text).split())
    text = grammar.INVITATION.sub("use ", text)
    lead = grammar.LEAD.match(text)
    text = text[lead.end() :] if lead else text
    matches = find_concepts(text)
    if not matches or _is_new_topic(text, matches):
        return []
    mentions = [mention(clause, text, match, matches) for match in matches]
    found = [_wish(m) for m in mentions if not names_something_else(m)]
    return [wish for wish in found if wish is not None]


def _is_new_topic(text: str, matches: list[Match]) -> bool:
    """Whether the clause brings a matter of its own: too many unknown words, or a new question."""
    unknown = unknown_words(text, matches)
    first, start, _ = matches[0]
    about_answer = grammar.OWN_ANSWER.search(text) or vocabulary.STANDING.search(text)
    allowed = MAX_UNKNOWN_WORDS if about_answer else 1
    if first.kind == "flaw" and not first.ambiguous:
        allowed += 2
    if unknown and re.search(r"(?<!\S)(?:an?|the) list$", text):
        return True
    if len(unknown) > allowed:
        return True
    if grammar.WRONG_WITH_OTHER.match(text):
        return "exactly" not in text
    if start == 0 and first.kind == "wish":
        return False
    if grammar.COMPLAINING_QUESTION.match(text) or grammar.WHERE_IS.match(text):
        return False
    return grammar.NEW_QUESTION.match(text) is not None


def _wish(m: Mention) -> Wish | None:
    wanted = _decide(m)
    if wanted is None:
        return None
    direction = m.concept.wanted if wanted else m.concept.unwanted
    if not direction:
        return None
    compared = m.degree in _DEGREES or m.first_word in _DEGREES
    confidence = 0.8 if m.report or m.concept.ambiguous else 0.9
    confidence -= 0.1 * len(unknown_words(m.text, list(m.matches)))
    confidence -= 0.05 if m.clause.question and not m.report else 0.0
    confidence += 0.03 if compared else 0.0
    not_enough = m.after[:1] == ("enough",)
    # "How did you get that?" asks for more than there is, even after an answer with steps.
    asks = m.concept.kind == "wish" and m.first_word != "show"
    puzzled = direction == "length:steps" and asks
    return Wish(
        direction,
        round(max(confidence, 0.5), 2),
        m.clause.original[:200],
        reported=m.report or m.degree == "too" or m.concept.kind == "flaw" or not_enough,
        relative=m.degree in ("more", "less") or m.first_word.endswith("er") or puzzled,
    )


def _decide(m: Mention) -> bool | None:
    """True wanted, False unwelcome, None neither."""
    manner = bool(
        grammar.MANNER.match(m.tail) and grammar.ARTICLE_BEFORE.search(m.head) and not m.report
    )
    if m.concept.kind == "flaw":
        return _decide_flaw(m, manner)
    if m.degree == "too":
        return None if m.sign < 0 and m.report else False
    if m.sign < 0 and m.after[:1] == ("enough",):
        return True
    if m.tail and grammar.AFTER_BAD.fullmatch(grammar.AROUND.sub("", m.tail)):
        return False
    if m.degree == "less":
        return None if m.report and m.sign < 0 else False
    if m.sign == 0 and "again" in (m.head, m.tail):
        return False
    if m.sign >= 0 and not m.report and grammar.AFTER_GOOD.search(m.tail):
        return True
    if grammar.AWAY_BEFORE.search(m.head) and grammar.AWAY_AFTER.match(m.tail):
        return m.sign < 0 and "not" in m.before
    if manner:
        return m.sign >= 0
    if "without" in m.before[-4:] and grammar.CANNOT_DO.search(m.tail or m.head):
        return True
    if m.degree == "more":
        return not (m.sign < 0 and not m.report)
    decide = {"quality": _decide_quality, "wish": _decide_wish}.get(m.concept.kind, _decide_thing)
    return decide(m)


def _decide_flaw(m: Mention, manner: bool) -> bool | None:
    asked_for = m.sign > 0 and not m.report and m.degree != "too"
    if m.concept.unwanted and (asked_for or (manner and not m.sign)):
        return False  # "be vague": what is a flaw to others is wished for here
    return None if m.sign < 0 and m.report and m.degree != "too" else True


def _decide_quality(m: Mention) -> bool | None:
    if m.report:
        if m.sign < 0:
            return None if m.concept.bad and m.degree != "very" else True
        puzzled = m.degree == "very" and grammar.COMPLAINING_QUESTION.match(m.text)
        return False if m.concept.bad or puzzled else None
    if m.sign:
        return m.sign > 0
    short = len(m.text.split()) <= _SHORT_CLAUSE
    if m.concept.bad:
        return False if m.degree == "very" and short else None
    return True if short and not m.degree else None


def _decide_wish(m: Mention) -> bool | None:
    # A wish behind a comma stands for itself: "I don't want the steps, only the answer".
    sign = 0 if m.before[-1:] == (",",) else m.sign
    only = m.first_word in ("just", "only", "simply", "merely", "nothing")
    if not m.report:
        return sign >= 0
    if sign < 0:
        return not only
    growing = m.before[-1:] in (("getting",), ("become",), ("becoming",), ("got",))
    return False if only or growing else None


def _decide_thing(m: Mention) -> bool | None:
    if m.report:
        return m.sign >= 0 if grammar.WHERE_IS.match(m.text) else m.sign < 0
    own_verb = m.first_word in grammar.ASKING_VERBS or m.words.startswith("bold the")
    if own_verb and (not m.sign or m.before[-1:] == (",",)):
        return True
    if m.sign:
        lacks = m.sign < 0 and m.clause.question and m.before[:1] in (("no",), ("not",))
        return True if lacks else m.sign > 0
    if grammar.ALL_THOSE.search(m.head):
        return False
    return True if m.says_nothing_else and not m.clause.question else None
