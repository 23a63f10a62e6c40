"""Reads a follow-up in two layers, and says what they mean together.

`lexical` knows what people say and names the wish; `words` is a trained classifier that also hears
what no list holds. One calibrated score comes out of both: the probability that the message finds
fault with the answer before it. Where the layers contradict each other, the reading is marked for
review, and nothing is learned from it before the user has looked.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from align_agent.feedback import lexical, words
from align_agent.feedback.abroad import read_abroad
from align_agent.feedback.asked import accepts, judged
from align_agent.feedback.faults import Category
from align_agent.feedback.idioms import gives_up, without_idioms
from align_agent.feedback.irony import ironic
from align_agent.feedback.lexical import NOTHING, Reading
from align_agent.feedback.pasted import parted
from align_agent.feedback.praise import without_praise
from align_agent.feedback.text import CODE, QUOTE, clauses, normalise, own_words, without_reported
from align_agent.feedback.words import WordsScore, logistic, shipped

__all__ = ["NOTHING", "THRESHOLD", "Reading", "read"]

# From this score on a message counts as a complaint; `feedback.min_confidence` sets another.
THRESHOLD = 0.28
# The classifier contradicts the lexicon: all but sure of the opposite.
SURE_NO, SURE_YES = 0.02, 0.75
STRONG = 0.8
_SEEN = 2_000
_BARE_PRAISE = 4

# "My mistake, I meant June": the user corrects themself, not the answer.
_OWN_FAULT = re.compile(
    r"(?<!\S)(?:my (?:mistake|fault|bad|error|typo)|let me correct myself|correct myself"
    r"|i (?:mistyped|misspelled|misread|misspoke|mixed (?:it|that|them) up)"
    r"|i (?:made|had) (?:a|an) (?:\w+ )?(?:mistake|typo|error)"
    r"|i (?:was|got it|gave you the) wrong(?: numbers?| data| file| one| date)?"
    r"|typo on my (?:side|end|part)|i should have (?:said|written|mentioned))(?!\S)"
)
_SORRY = re.compile(r"(?<!\S)(?:sorry|oops|ups|whoops) ?[,!:]? ?i (?:meant|forgot|mean)(?!\S)")
_YOURS = re.compile(r"(?<!\S)(?:you|your|yours)(?!\S)")
# "Never mind, I'll do it myself": as weak as what is done without words, and never a rule.
GIVEN_UP = Reading("negative", "none", 0.35, 0.5)
_QUOTED = 200
_ACCEPTED = "it says yes to an offer: this may be about the thing, not about the answer"


@dataclass(frozen=True, slots=True)
class Combined:
    """The score of both layers, and whether they contradict each other."""

    score: float
    conflict: str = ""


def read(
    follow_up: str, *, answer: str = "", previous_user: str = "", threshold: float = THRESHOLD
) -> Reading:
    """Read one follow-up. Never fails on any text.

    What somebody else wrote is left out; where that is not sure, what was read waits for a look.
    The reading's `confidence` is the calibrated probability of its polarity where that is
    negative; `layers` holds what each layer thought.
    """
    said = parted(follow_up)
    abroad = read_abroad(said.own, answer=answer, previous_user=previous_user)
    if abroad is not None:
        abroad = replace(abroad, review=abroad.review or said.doubt)
        own = _signed(abroad)
        return replace(abroad, layers={"lexicon": own, "combined": max(own, 0.0)})
    reading = _read(plain(said.own), answer, previous_user, threshold)
    if reading.polarity == "negative" and not reading.directions and judged(said.own, answer):
        return replace(NOTHING, layers=reading.layers)
    if reading.polarity == "neutral" and gives_up(said.own) and not answer.rstrip().endswith("?"):
        return replace(GIVEN_UP, evidence=said.own.strip()[:_QUOTED], layers=reading.layers)
    doubt = said.doubt
    if reading.polarity == "negative" and accepts(said.own, answer):
        doubt = doubt or _ACCEPTED
    if doubt and (reading.polarity != "neutral" or reading.standing):
        return replace(reading, review=reading.review or doubt)
    return reading


def plain(own: str) -> str:
    """Without what others wish, idioms that pass for wishes, and praise that passes for blame."""
    return without_praise(without_idioms(without_reported(own)))


def _read(follow_up: str, answer: str, previous_user: str, threshold: float) -> Reading:
    found = lexical.read(follow_up, answer=answer, previous_user=previous_user)
    if not _speaks(own_words(follow_up, answer=answer, previous_user=previous_user)):
        return found  # code and quotations alone are nobody's opinion
    irony = ironic(follow_up)
    if irony and found.polarity == "positive":
        found = NOTHING
    heard = words.score(follow_up, answer=answer, previous_user=previous_user)
    both = combine(found, heard)
    if found.polarity == "positive" and len(follow_up.split()) <= _BARE_PRAISE:
        both = Combined(min(both.score, threshold / 2))  # it says nothing else
    if corrects_themself(follow_up):
        both = Combined(min(both.score, threshold / 2))
        found = NOTHING if found.polarity == "negative" else found
    layers = {
        "lexicon": _signed(found),
        "words": round(heard.probability, 3),
        "combined": round(both.score, 3),
    }
    heard_too = heard.probability >= SURE_YES and both.score >= threshold
    if irony and not (found.directions or found.polarity == "negative" or heard_too):
        return _turned_round(both, irony, layers)
    settled = found.polarity == "neutral" and found.directions  # a wish that is met already
    praised = found.polarity == "positive" and heard.probability < SURE_YES
    if settled or praised or both.score < threshold:
        return _no_complaint(found, both, layers)
    return _complaint(found, heard, both, layers)


def _speaks(own: str) -> bool:
    said = " ".join(part.text for part in clauses(own)).split()
    return any(word[0].isalnum() and word not in (CODE, QUOTE) for word in said)


def combine(found: Reading, heard: WordsScore) -> Combined:
    """One probability out of both layers, and what they disagree on."""
    table = shipped().facts["combine"]
    said = inputs(found, heard.logit)
    logit = table["bias"] + sum(
        weight * value for weight, value in zip(table["weights"], said, strict=True)
    )
    conflict = ""
    if found.polarity == "negative" and heard.probability < SURE_NO:
        conflict = "the lexicon reads a complaint, the classifier none"
    if found.polarity == "positive" and heard.probability >= SURE_YES:
        conflict = "the lexicon reads praise, the classifier a complaint"
    return Combined(logistic(logit), conflict)


def inputs(found: Reading, logit: float) -> list[float]:
    """What the score is made of: the classifier's logit, and what the lexicon found."""
    negative = found.polarity == "negative"
    return [
        logit,
        float(negative),
        negative * found.confidence,
        float(found.polarity == "positive"),
        float(negative and bool(found.direction)),
        float(negative and found.strength >= 1.0),
    ]


def corrects_themself(follow_up: str) -> bool:
    """Whether the user takes the blame, in clauses that do not speak of the answer."""
    own = own_words(follow_up)
    if _SORRY.search(normalise(own[:_SEEN])):
        return True
    return any(
        _OWN_FAULT.search(part.text) and not _YOURS.search(part.text.replace("gave you", "gave"))
        for part in clauses(own)
    )


def _turned_round(both: Combined, irony: str, layers: dict[str, float]) -> Reading:
    """Praise that seems to mean its opposite: kept for a look, learned from by nobody's guess."""
    review = f"it sounds like praise, and may mean the opposite: {irony}"
    score = round(both.score, 3)
    return Reading("negative", "not_as_asked", score, 0.5, "", irony, layers=layers, review=review)


def _no_complaint(found: Reading, both: Combined, layers: dict[str, float]) -> Reading:
    if found.polarity == "negative":
        # The lexicon stands alone: kept for a look, never learned from.
        return replace(found, confidence=round(both.score, 3), layers=layers, review=both.conflict)
    return replace(found, layers=layers, review=both.conflict)


def _complaint(
    found: Reading, heard: WordsScore, both: Combined, layers: dict[str, float]
) -> Reading:
    confidence = round(both.score, 3)
    if found.polarity == "negative":
        return replace(found, confidence=confidence, layers=layers, review=both.conflict)
    category: Category = "praise_but" if found.polarity == "positive" else heard.category  # type: ignore[assignment]
    return Reading(
        "negative",
        category,
        confidence,
        1.0 if both.score >= STRONG else 0.5,
        evidence=heard.evidence,
        layers=layers,
        review=both.conflict,
    )


def _signed(found: Reading) -> float:
    """The lexicon's own confidence: above 0 for a complaint, below for praise, 0 for neither."""
    sign = {"negative": 1, "positive": -1, "neutral": 0}[found.polarity]
    return round(sign * found.confidence, 3)
