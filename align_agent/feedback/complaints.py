"""Complaints that are not about style: wrong, not what was asked, incomplete, unclear. And praise.

Each looks at one normalised clause (`text.Clause`). What a whole message means is put together in
`reader`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from align_agent.feedback.faults import FAULTS, Category
from align_agent.feedback.patterns import compiled, word_set
from align_agent.feedback.text import Clause


@dataclass(frozen=True, slots=True)
class Finding:
    """One complaint in one clause. `strength` is 1.0 for an outright complaint, 0.5 for a mild."""

    category: Category
    confidence: float
    strength: float
    evidence: str


_NEW_TASK = re.compile(
    r"^(?:what|who|when|which|how(?! about)|tell me|explain)(?!\S)|(?<!\S)(?:write|create|how many"
    r"|python|a (?:function|program|script))(?!\S)"
)
_CHANGE = compiled(
    r"""
    i (?:also |just |only )?(?:want|need|wanted|needed|meant|would like) |
    it (?:should|must|has|needs|is missing) | (?:can|could|would) it |
    (?:can|could|would) you (?:please )?(?:make|return|use|start|begin|stop|end|leave|include
    |exclude|reverse|turn|keep|take|add) | make | use | return | start | begin | stop | end |
    include | exclude | leave | keep | take | put | turn | reverse | double | square | cube |
    sum | add | count | from | up to | not | no | neither | only | just | without | with |
    instead | as an? | should | must | now | both | the | every | each | all | in | multiples? |
    drop | throw | skip | remove | filter | there (?:should|must) | they (?:should|must) |
    do not | n (?:should|must|is|itself|counts) | you should | i do not want |
    why (?:is|are|did you|does it) | .* (?:please|instead|first)$
    """
)
PRAISE = compiled(
    r"""
    thanks?(?:\s(?:you|a lot|so much|a bunch|again))* | thx | great(?:\s\w+)? | awesome |
    perfect(?:ly)? | excellent | wonderful | fantastic | brilliant | amazing | lovely |
    (?:i )?love (?:it|this|that) | nice(?:\s\w+)? |
    good (?:job|work|answer|one|idea|points?|stuff|explanation|question|point) |
    well (?:done|put|said) | (?:very |really |so |that is |was |is )helpful |
    (?:that|this|it) helps(?:\s.*)? | that works | exactly what i \w+ | exactly right |
    makes (?:perfect |total )?sense | got it | much better | better now |
    (?:that is|very|how|is|looks|sounds) (?:interesting|cool|good|nice|great|awesome|neat|useful
    |clear) | cool | sweet | neat | you rock |
    i (?:really )?(?:like|love|appreciate) (?:it|that|this|how|the|your)(?:\s.*)? | appreciated? |
    true that | well explained | spot on | you are (?:right|the best|awesome|great) | agreed |
    correct | that is (?:right|correct|true) | right on | impressive | yay | danke | merci |
    gracias | grazie | bravo | so (?:good|nice|cool)
    """
)
_LEAD = re.compile(
    r"^(?:(?:and|so|but|because|also|hey|hi|ugh|ok|okay|well|sorry|now|hmm?|wow|oh|um+|honestly|,|!"
    r"|i (?:think|feel|guess|mean)(?: that)?) )+"
)
_COUNTING = re.compile(r"(?:.* )?how (?:many|much)(?!\S)")
_BEFORE_PRAISE = word_set(
    """
    that this it is was are very really so how oh wow ok okay yes yeah ah and the an a answer
    explanation i think looks sounds ! , well haha lol cool nice great perfect much thanks thank you
    """
)
_PRAISE_GUARD = re.compile(
    r"(?<!\S)(?:not|no|never|hardly|less|without|would|could|should|if|than|more)(?!\S)"
)
_OFFER = re.compile(r"\?\W*$|(?:what do you think of this option|anything else)", re.I)
_REFUSAL = re.compile(
    r"^(?:no|nope|nah|not really|i (?:do not|did not|would not|am not)|actually|neither|none)(?!\S)"
    r"|(?<!\S)(?:does not work for me|do not like|do not want|not interested|prefer)(?!\S)"
)


def complaints_in(clause: Clause, *, answer: str = "") -> list[Finding]:
    """The complaints in one clause. `answer` is what it reacts to, where it is known.

    A refusal of something the answer offered or asked ("Shall I book it?" "No, I don't want to")
    is no complaint.
    """
    lead = _LEAD.match(clause.text)
    text = (clause.text[lead.end() :] if lead else clause.text).strip(" ,!?")
    refused = bool(_OFFER.search(answer[-200:])) and _REFUSAL.search(text) is not None
    found: list[Finding] = []
    if not text or _COUNTING.match(text):
        return found
    for pattern in FAULTS:
        if refused and pattern.category in ("not_as_asked", "wrong_fact", "wrong_result"):
            continue
        match = pattern.regex.match(text) if pattern.starts else pattern.regex.search(text)
        if pattern.whole and (match is None or match.group().strip(" ?") != text.strip(" ?")):
            continue
        if match is not None:
            evidence = clause.original[:200]
            found.append(Finding(pattern.category, pattern.confidence, pattern.strength, evidence))
    return found


def code_changes_in(clause: Clause) -> list[Finding]:
    """A wish to change a program that was just written: short, and no new task."""
    lead = _LEAD.match(clause.text)
    text = (clause.text[lead.end() :] if lead else clause.text).strip(" ,!?")
    text = text.removeprefix("please ")
    if len(text.split()) > 14 or _NEW_TASK.search(text) or not _CHANGE.match(text):
        return []
    return [Finding("not_as_asked", 0.65, 0.5, clause.original[:200])]


def praises(clause: Clause) -> bool:
    """Whether the clause thanks or praises, in words that nothing before them takes back."""
    match = PRAISE.search(clause.text)
    if match is None:
        return False
    before = clause.text[: match.start()]
    thanks = match.group().startswith(("thank", "thx"))
    if thanks:
        return "no" not in before.split()
    if not set(before.split()) <= _BEFORE_PRAISE:
        return False
    return match.start() == 0 or not clause.question
